"""How a CUDA device runs: its clock, and whether heat or power hold it down. Told by nvidia-ml-py where that is."""

from functools import cache
from typing import Any

# NVML's reasons for a clock below the asked one: software power cap, hardware slowdown, software and hardware thermal
# slowdown, power brake. The others (idle, application clocks, sync boost, display) are no distress.
_HEAT_OR_POWER = 0x04 | 0x08 | 0x20 | 0x40 | 0x80


def readings(device: str) -> dict[str, float]:
    """The metrics gpu_clock_mhz and gpu_throttled of now; none of a device that tells nothing, or is no CUDA device."""
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
    except pynvml.NVMLError:  # a virtual GPU or an old driver does not tell
        return {}
    return {"gpu_clock_mhz": float(clock), "gpu_throttled": float(throttled(reasons))}


def throttled(reasons: int) -> bool:
    """Whether NVML's bit mask of reasons has one of heat or power."""
    return bool(reasons & _HEAT_OR_POWER)


@cache
def _handle(device: str) -> Any:
    """By UUID: NVML counts all devices of the machine, torch those that CUDA_VISIBLE_DEVICES leaves."""
    import pynvml
    import torch

    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
