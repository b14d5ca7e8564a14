"""How much memory a worker may take: more than that fails in the worker, before the machine is out of it."""

import itertools
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.machine import cgroup
from bench.machine.files import said

_SHARE = 0.5  # of the machine's memory, for the one worker that runs: the rest is for those that wait, and all else


def default_limit() -> int:
    """Bytes that a worker may take: half of what this machine has, or the control group that it runs in."""
    import psutil

    return int(_SHARE * min([psutil.virtual_memory().total, *(limit for limit, _ in _groups())]))


def available() -> int:
    """Bytes that processes can still take here before memory runs out."""
    import psutil

    free: int = psutil.virtual_memory().available
    return max(0, min([free, *(limit - used for limit, used in _groups())]))


def limit_memory(limit: int) -> None:
    """Let an allocation that takes this process `limit` bytes above what it holds now fail, as malloc fails.

    What is limited is private writable memory (RLIMIT_DATA): all that malloc and torch allocate for the CPU. The
    address space (RLIMIT_AS) would count libraries, and what CUDA reserves and never uses. Only Linux enforces it.
    """
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = _held() + limit
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def lift_limit() -> int | None:
    """Take the limit off this process again; the bytes of it that were left, None if there was none."""
    if sys.platform != "linux":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    return None if soft == hard else soft - _held()


def _held() -> int:
    """Bytes of this process that the limit counts."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory, here since boot; None where it does not tell."""
    told = [said(Path("/proc/vmstat")), *cgroup.read("memory", "memory.events", "memory.oom_control").values()]
    counts = re.findall(r"^oom_kill (\d+)$", "\n".join(told), re.MULTILINE)
    return sum(map(int, counts)) if counts else None


def together(peaks: Iterable[float], room: float) -> int:
    """How many workers can wait side by side, whichever they are, in `room` bytes; at least one.

    `peaks`: the bytes that each of the workers holds.
    """
    largest_first = itertools.accumulate(sorted(peaks, reverse=True))
    return max(1, sum(held <= room for held in largest_first))


def _groups() -> list[tuple[int, int]]:
    """Limit and use, in bytes, of each control group around this process that has a limit."""
    limits = cgroup.read("memory", "memory.max", "memory.limit_in_bytes")  # version 2 writes max for none
    stats = cgroup.read("memory", "memory.stat")
    return [(int(limit), _used(stats.get(group, ""))) for group, limit in limits.items() if limit.isdigit()]


def _used(stat: str) -> int:
    """Bytes that cannot be taken back from a group; its files' cache, which fills any group in time, can be."""
    return sum(int(used) for used in re.findall(r"^(?:anon|total_rss) (\d+)$", stat, re.MULTILINE))
