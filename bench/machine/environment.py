"""The environment of a measurement: the machine, the versions and the code."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import cpuinfo
import psutil

from bench.failure import InfrastructureError
from bench.machine import gpu, state
from bench.machine.cores import chosen
from results.records import Environment

_SHARED = ("torch",)  # every cell runs on it; a backend's own library is part of what its cells measure
_KNOWN = ("nodebench", "numpy")  # recorded, but of no consequence for comparability


@cache
def environment() -> Environment:
    """The facts that must be equal for two measurements to be comparable."""
    facts = {
        "cpu": _cpu(),
        "cores": f"{psutil.cpu_count(logical=False) or '?'} physical, {psutil.cpu_count()} logical",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _SHARED},
        **{f"gpu {i}": name for i, name in enumerate(gpu.names())},
    }
    return Environment(facts)


def _cpu() -> str:
    """The processor's name. cpuinfo starts processes to read it; a fallback name would look like another machine."""
    try:
        return str(cpuinfo.get_cpu_info().get("brand_raw", platform.processor() or platform.machine()))
    except OSError as error:
        raise InfrastructureError(
            f"the processor's name cannot be read: {error}: run the same command again"
        ) from error


def volatile() -> dict[str, str]:
    """Facts of this moment that do not decide whether measurements are comparable; unknown ones are left out."""
    pinned, boost, steal = chosen(1), state.boost(), state.steal()
    moment = {
        "host": platform.node(),
        "kernel": platform.release(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "pinned": f"one thread to core {pinned[0]}" if pinned else "",
        "governor": state.governor(max(pinned, default=0)),
        "boost": "" if boost is None else ("on" if boost else "off"),
        "steal": f"{steal:.2%} since boot" if steal else "",
        **{name: metadata.version(name) for name in _KNOWN},
    }
    return {name: text for name, text in moment.items() if text}


def git_revision() -> tuple[str, bool]:
    """The commit of nodebench's own checkout and whether it was changed since; ("", False) outside one.

    A repository that merely contains us, such as the user's own around their site-packages, does not count.
    """
    here = Path(__file__)
    root = here.parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top or not Path(top).samefile(root) or not _git(root, "ls-files", str(here)):
        return "", False
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return _git(root, "rev-parse", "HEAD"), bool(changed)


def _git(folder: Path, *arguments: str) -> str:
    """The output of a git command in the folder's repository; empty if the command fails, or there is no git.

    git's environment variables, such as GIT_DIR in a hook of the user's, would point it to another repository.
    """
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=variables)
    except OSError:  # no git on this machine
        return ""
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""  # a folder's name may not be UTF-8


def missing_device(device: str) -> str:
    """The reason why a device cannot be used here; empty if it can."""
    kind, _, index = device.partition(":")
    if kind == "cuda" and not gpu.names():
        return "no CUDA device here: run this sweep on a machine that has one"
    if kind == "cuda" and int(index or 0) >= len(gpu.names()):
        return f"no device {device} here: there are {len(gpu.names())}"
    if kind == "mps" and not gpu.has_mps():
        return "no MPS device here: run this sweep on a Mac with Apple silicon"
    return ""
