"""Live bytes of a call, from the allocator: exact, and the same when repeated."""

import resource
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from bench.clock import collection_off, synchronise
from bench.workload import Workload
from results.records import Cell

_WARM_UPS = 2  # the first calls fill caches, which are not the workload's


class Allocated(NamedTuple):
    """Bytes of a call above what was live when it began."""

    peak: int  # the most that were live at once
    left: int  # live when it had returned, its result with all that the result holds among them


def memory(cell: Cell, workload: Workload) -> dict[str, float]:
    """The peak of the cell's main call, what its loss keeps for the backward pass, and the process's peak."""
    if cell.gradient == "none":
        return {"peak_bytes": peak_bytes(workload.forward, cell.device), "peak_rss_bytes": peak_rss_bytes()}
    return {
        "peak_bytes": peak_bytes(workload.gradient, cell.device),
        "saved_bytes": allocated(workload.loss, cell.device).left,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most bytes that were live at once above what was live when the call began."""
    return allocated(call, device).peak


def allocated(call: Callable[[], object], device: str) -> Allocated:
    """What a warm call allocates."""
    for _ in range(_WARM_UPS):
        call()
    if device.startswith("cuda"):
        return _by_cuda(call, device)
    has_memray = find_spec("memray") is not None  # not to be had on every platform
    return _by_memray(call) if has_memray else _by_profiler(call)


def peak_rss_bytes() -> int:
    """This process's peak resident set: with its libraries, its fragmentation and what it has run before."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _by_cuda(call: Callable[[], object], device: str) -> Allocated:
    synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = call()
    synchronise(device)
    after = torch.cuda.memory_allocated(device)
    del result
    return Allocated(torch.cuda.max_memory_allocated(device) - before, after - before)


def _by_memray(call: Callable[[], object]) -> Allocated:
    import memray

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "allocations"
        with collection_off(), memray.Tracker(path, file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS):
            result = call()
        del result
        reader = memray.FileReader(path)
        # Mapped memory is the interpreter's arenas: whether one is opened depends on what ran before.
        mapped = memray.AllocatorType.MMAP
        return Allocated(
            *(
                sum(record.size for record in records(merge_threads=True) if record.allocator != mapped)
                for records in (reader.get_high_watermark_allocation_records, reader.get_leaked_allocation_records)
            )
        )


def _by_profiler(call: Callable[[], object]) -> Allocated:
    from torch.profiler import ProfilerActivity, profile

    with collection_off(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    del result
    live = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return Allocated(peak, live)
