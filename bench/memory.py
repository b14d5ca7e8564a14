"""Peak live bytes of a call, from the allocator: exact, and the same when repeated."""

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

from bench.clock import collection_off, synchronise

_WARM_UPS = 2  # the first calls fill caches, which are not the workload's


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most bytes that were live at once above what was live when the call began."""
    for _ in range(_WARM_UPS):
        call()
    if device.startswith("cuda"):
        return _peak_on_cuda(call, device)
    has_memray = find_spec("memray") is not None  # not to be had on every platform
    return _peak_by_memray(call) if has_memray else _peak_by_profiler(call)


def _peak_on_cuda(call: Callable[[], object], device: str) -> int:
    synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    synchronise(device)
    return torch.cuda.max_memory_allocated(device) - before


def _peak_by_memray(call: Callable[[], object]) -> int:
    import memray

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "allocations"
        with collection_off(), memray.Tracker(path, file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS):
            call()
        # Mapped memory is the interpreter's arenas: whether one is opened depends on what ran before.
        mapped = memray.AllocatorType.MMAP
        records = memray.FileReader(path).get_high_watermark_allocation_records(merge_threads=True)
        return sum(record.size for record in records if record.allocator != mapped)


def _peak_by_profiler(call: Callable[[], object]) -> int:
    from torch.profiler import ProfilerActivity, profile

    with collection_off(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    live = peak = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak
