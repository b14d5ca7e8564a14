"""The GPUs of this machine, and the state of a CUDA device: its clock, and whether heat or power throttle it.

The state comes from nvidia-ml-py, if that is installed. Torch, which takes a second to load, is asked for the GPUs only
where it can find some.
"""

import ast
import ctypes
import platform
from contextlib import suppress
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any

# NVML's reasons for a clock below the asked one: software power cap, hardware slowdown, software and hardware thermal
# slowdown, power brake. The others (idle, application clocks, sync boost, display) are harmless.
_HEAT_OR_POWER = 0x04 | 0x08 | 0x20 | 0x40 | 0x80


@cache
def names() -> tuple[str, ...]:
    """The names of the CUDA devices that torch finds, by index; ROCm's are among them."""
    if not _may_find():
        return ()
    import torch

    return tuple(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))


@cache
def has_mps() -> bool:
    """Whether torch finds the GPU of a Mac."""
    if platform.system() != "Darwin":
        return False
    import torch

    return torch.backends.mps.is_available()


def _may_find() -> bool:
    """Whether torch was built for CUDA or ROCm, and the driver is here."""
    built_for = _built_for()
    if built_for == {"cuda"} and platform.system() == "Linux":
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            return False
    return bool(built_for)


def _built_for() -> set[str]:
    """Those of "cuda" and "hip" that the installed torch was built for, by its version.py; both if it does not say."""
    built: dict[str, bool] = {}
    with suppress(OSError, SyntaxError):
        found = util.find_spec("torch")
        for part in ast.parse(Path(found.origin or "").with_name("version.py").read_bytes()).body if found else []:
            match part:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=version)):
                    built[name] = version is not None
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=version)):
                    built[name] = version is not None
    return {name for name in ("cuda", "hip") if built.get(name, True)}


def readings(device: str) -> dict[str, float]:
    """The current metrics gpu_clock_mhz and gpu_throttled; none if the device gives none, or is no CUDA device."""
    if not device.startswith("cuda"):
        return {}
    try:
        import pynvml
    except ImportError:  # the extra `gpu`
        return {}
    try:
        handle = _handle(device)
        clock = pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    except pynvml.NVMLError:  # a virtual GPU or an old driver does not give them
        return {}
    return {"gpu_clock_mhz": float(clock), "gpu_throttled": float(throttled(reasons))}


def throttled(reasons: int) -> bool:
    """Whether NVML's bit mask of reasons contains one of heat or power."""
    return bool(reasons & _HEAT_OR_POWER)


@cache
def _handle(device: str) -> Any:
    """NVML's handle of a torch device, found by UUID: torch counts only the devices in CUDA_VISIBLE_DEVICES."""
    import pynvml
    import torch

    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
