"""Live bytes of a call, from the allocator: exact, and the same when repeated."""

import gc
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.measures.clock import collection_off, synchronise
from bench.workload import Workload
from results.records import Cell


class Allocated(NamedTuple):
    """Bytes that a call has allocated: what was there before, parameters and inputs among it, does not count."""

    peak: int  # the most that were live at once
    left: int  # live when it had returned, its result with all that the result holds among them


def memory(cell: Cell, workload: Workload) -> dict[str, float]:
    """The peak of the cell's main call, what its loss holds for the backward pass, and the process's peak.

    The main call is the forward solve, or, where the cell has a gradient mode, that with its loss and backward pass.

    saved_bytes: what is live once there is a loss, above what was live before, as the mode has kept it: by autograd, by
    a context, in a list. Each storage counts once, however many tensors or nodes of the graph share it, and only while
    it is live. The nodes themselves count too, some hundred bytes an operation.

    peak_rss_bytes: of this process until its first call had returned, libraries and fragmentation included.
    """
    main = workload.forward if cell.gradient == "none" else workload.gradient
    with _as_if_tracked():
        main()
    synchronise(cell.device)
    resident = peak_rss_bytes()
    if cell.gradient == "none":
        return {"peak_bytes": _allocated(main, cell.device).peak, "peak_rss_bytes": resident}
    found = _allocated(lambda: _gradient_then_loss(workload), cell.device)
    return {"peak_bytes": found.peak, "saved_bytes": found.left, "peak_rss_bytes": resident}


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most bytes of a call that were live at once; of the second call, as the first one fills caches."""
    with _as_if_tracked():
        call()
    return _allocated(call, device).peak


def peak_rss_bytes() -> int:
    """This process's peak resident set so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gradient_then_loss(workload: Workload) -> Tensor:
    """Both under one tracker, which takes a tenth of a second: the peak is the gradient's, what is left the loss's."""
    workload.gradient()
    gc.collect()  # what it leaves in reference cycles is no part of the loss
    return workload.loss()


@contextmanager
def _as_if_tracked() -> Iterator[None]:
    """For a first call: a tracker has the interpreter call it, for which that makes a table of each function's lines.

    The tables stay. In a call that is measured they would be some ten thousand bytes, the first time only.
    """
    before = sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        yield
    finally:
        sys.setprofile(before)


def _allocated(call: Callable[[], object], device: str) -> Allocated:
    if device.startswith("cuda"):
        return _by_cuda(call, device)
    has_memray = find_spec("memray") is not None  # not to be had on every platform
    return _by_memray(call) if has_memray else _by_profiler(call)


def _by_cuda(call: Callable[[], object], device: str) -> Allocated:
    with collection_off():
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
        return Allocated(
            _bytes_of(reader.get_high_watermark_allocation_records(merge_threads=True)),
            _bytes_of(reader.get_leaked_allocation_records(merge_threads=True)),
        )


def _bytes_of(records: Iterable[Any]) -> int:
    """What was asked of malloc. Mapped memory is the interpreter's arenas: when one is opened depends on the past."""
    from memray import AllocatorType

    return sum(record.size for record in records if record.allocator != AllocatorType.MMAP)


def _by_profiler(call: Callable[[], object]) -> Allocated:
    """Tensors only: less by the graph's nodes, which are little where states are large."""
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
