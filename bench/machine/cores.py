"""The CPU cores of a worker: pinned to them, it is not moved to where its caches are cold."""

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from bench.machine.files import said

_CPUS = Path("/sys/devices/system/cpu")


def chosen(threads: int) -> tuple[int, ...]:
    """The cores for so many threads, of those that this process may use; none where the platform cannot pin."""
    if not hasattr(os, "sched_setaffinity"):
        return ()
    return tuple(sorted(_by_worth(os.sched_getaffinity(0), _siblings, _capacity)[:threads]))


def pin(cores: Collection[int]) -> None:
    """Keep this process, its threads and all that it starts on these cores; on no cores: leave it as it is."""
    if not cores:
        return
    for thread in Path("/proc/self/task").iterdir():  # a library's import may have started some: each has its own mask
        with contextlib.suppress(OSError):  # it has ended, or a sandbox forbids this
            os.sched_setaffinity(int(thread.name), cores)


def _by_worth(
    allowed: Collection[int], siblings: Callable[[int], Sequence[int]], capacity: Callable[[int], int]
) -> list[int]:
    """The best first: one hyperthread of each physical core, then the faster ones, then those with higher numbers.

    The first cores get most interrupts. Two hyperthreads of a core share it, and slow each other down.
    """
    by_number = sorted(allowed, reverse=True)

    def elders(core: int) -> int:
        return sum(other > core for other in siblings(core) if other in allowed)

    return sorted(by_number, key=lambda core: (elders(core), -capacity(core)))


def _siblings(core: int) -> list[int]:
    """The logical cores that are one physical core with this one, itself included."""
    listed = said(_CPUS / f"cpu{core}/topology/thread_siblings_list")  # such as "0,4" or "0-1"
    bounds = [part.split("-") for part in listed.split(",") if part]
    return [number for part in bounds for number in range(int(part[0]), int(part[-1]) + 1)]


def _capacity(core: int) -> int:
    """How fast a core is beside the others, where they differ; 0 where nothing tells."""
    told = said(_CPUS / f"cpu{core}/cpu_capacity") or said(_CPUS / f"cpu{core}/cpufreq/cpuinfo_max_freq")
    return int(told) if told.isdigit() else 0
