"""The memory limit of a worker: beyond it allocations fail in the worker, before the machine runs out of memory."""

import itertools
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.machine import cgroup
from bench.machine.files import text_of

_SHARE = 0.5  # of the machine's memory, for the one worker that runs; the rest is for waiting workers and all else


def default_limit() -> int:
    """The bytes that a worker may take: half of the memory of this machine, or of the control group that it runs in."""
    import psutil

    return int(_SHARE * min([psutil.virtual_memory().total, *(limit for limit, _ in _groups())]))


def available() -> int:
    """The bytes that processes can still take here before memory runs out."""
    import psutil

    free: int = psutil.virtual_memory().available
    return max(0, min([free, *(limit - used for limit, used in _groups())]))


def limit_memory(limit: int) -> None:
    """Make allocations fail, as malloc fails, that take this process more than `limit` bytes above what it holds now.

    The limit is on private writable memory (RLIMIT_DATA): all that malloc and torch allocate for the CPU. The address
    space (RLIMIT_AS) would count libraries, and what CUDA reserves and never uses. Only Linux enforces the limit.
    """
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = _held() + limit
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def lift_limit() -> int | None:
    """Remove this process's limit; the bytes that were left of it, None if there was no limit."""
    if sys.platform != "linux":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    return None if soft == hard else soft - _held()


def _held() -> int:
    """The bytes of this process that the limit counts."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def oom_kills() -> int | None:
    """The number of processes that the kernel has killed for lack of memory since boot; None if it does not say."""
    texts = [text_of(Path("/proc/vmstat")), *cgroup.read("memory", "memory.events", "memory.oom_control").values()]
    counts = re.findall(r"^oom_kill (\d+)$", "\n".join(texts), re.MULTILINE)
    return sum(map(int, counts)) if counts else None


def together(peaks: Iterable[float], room: float) -> int:
    """The number of workers that fit into `room` bytes at once, whichever of them they are; at least one.

    `peaks`: the peak bytes of each worker.
    """
    largest_first = itertools.accumulate(sorted(peaks, reverse=True))
    return max(1, sum(total <= room for total in largest_first))


def _groups() -> list[tuple[int, int]]:
    """The (limit, use) in bytes of each control group around this process that has a limit."""
    limits = cgroup.read("memory", "memory.max", "memory.limit_in_bytes")  # version 2 writes max for none
    stats = cgroup.read("memory", "memory.stat")
    return [(int(limit), _used(stats.get(group, ""))) for group, limit in limits.items() if limit.isdigit()]


def _used(stat: str) -> int:
    """The bytes in use that cannot be reclaimed from a group; the file cache, which in time fills any group, can be."""
    return sum(int(used) for used in re.findall(r"^(?:anon|total_rss) (\d+)$", stat, re.MULTILINE))
