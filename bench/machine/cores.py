"""The CPU cores of a worker, which is pinned to them so that it is not moved to cores with cold caches."""

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from bench.machine.files import text_of

_CPUS = Path("/sys/devices/system/cpu")


def chosen(threads: int) -> tuple[int, ...]:
    """The best cores for a number of threads, of those that this process may use; none if the platform cannot pin."""
    return disjoint(threads, most=1)[0]


def disjoint(threads: int, most: int) -> list[tuple[int, ...]]:
    """The cores of up to `most` workers side by side, best first: no core is in two sets. At least one worker's."""
    if not hasattr(os, "sched_setaffinity"):
        return [()] * max(1, min(most, (os.cpu_count() or 1) // threads))
    best = _best_first(os.sched_getaffinity(0), _siblings, _capacity)
    count = max(1, min(most, len(best) // threads))
    return [tuple(sorted(best[threads * i : threads * (i + 1)])) for i in range(count)]


def pin(cores: Collection[int]) -> None:
    """Pin this process, its threads and all that it starts to these cores; without cores, change nothing."""
    if not cores:
        return
    for thread in Path("/proc/self/task").iterdir():  # a library's import may have started some: each has its own mask
        with contextlib.suppress(OSError):  # it has ended, or a sandbox forbids this
            os.sched_setaffinity(int(thread.name), cores)


def _best_first(
    allowed: Collection[int], siblings: Callable[[int], Sequence[int]], capacity: Callable[[int], int]
) -> list[int]:
    """The cores, best first: one hyperthread of each physical core, then faster cores, then higher numbers.

    The first cores get most interrupts. Two hyperthreads of a core share it, and slow each other down.
    """
    by_number = sorted(allowed, reverse=True)

    def better_siblings(core: int) -> int:
        return sum(other > core for other in siblings(core) if other in allowed)

    return sorted(by_number, key=lambda core: (better_siblings(core), -capacity(core)))


def _siblings(core: int) -> list[int]:
    """The logical cores that are one physical core with this one, itself included."""
    listed = text_of(_CPUS / f"cpu{core}/topology/thread_siblings_list")  # such as "0,4" or "0-1"
    bounds = [part.split("-") for part in listed.split(",") if part]
    return [number for part in bounds for number in range(int(part[0]), int(part[-1]) + 1)]


def _capacity(core: int) -> int:
    """The speed of a core relative to the others, in the kernel's units; 0 if the kernel does not say."""
    text = text_of(_CPUS / f"cpu{core}/cpu_capacity") or text_of(_CPUS / f"cpu{core}/cpufreq/cpuinfo_max_freq")
    return int(text) if text.isdigit() else 0
