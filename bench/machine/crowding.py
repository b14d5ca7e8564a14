"""A warning about cells with more threads than this process may use cores, printed before anything is measured."""

import os
from collections import Counter
from collections.abc import Iterable

from results.records import Cell


def allowed() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def crowded(cells: Iterable[Cell]) -> list[str]:
    """A line that warns of cells with more threads than cores; no line if there are none."""
    cores = allowed()
    asking = Counter(cell.threads for cell in cells if cell.threads > cores)
    if not asking:
        return []
    counts = ", ".join(f"{_n(count, 'cell')} with threads = {threads}" for threads, count in sorted(asking.items()))
    return [
        f"more threads than cores: {counts}, where this process may use {_n(cores, 'core')}: threads that wait for "
        "each other are timed, or time out; take fewer, or allow more (taskset, cpuset)"
    ]


def _n(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
