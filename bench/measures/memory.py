"""The live bytes of a call, from the allocator: exact, and the same when repeated."""

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
    """The bytes that a call has allocated, without what existed before it, such as parameters and inputs."""

    peak: int  # the most that were live at once
    left: int  # live when it had returned, including its result and all that the result holds


def memory(cell: Cell, workload: Workload) -> dict[str, float]:
    """The peak of the cell's main call, what its loss holds for the backward pass, and the process's peak.

    The main call is the forward solve, with the loss and the backward pass if the cell has a gradient mode.

    saved_bytes: the bytes live once the loss is computed, above those live before, wherever the mode keeps them: in
    autograd's graph, in a context, in a list. Each storage counts once, however many tensors or nodes of the graph
    share it, and only while it is live. The nodes themselves count too, some hundred bytes an operation.

    peak_rss_bytes: of this process until its first call had returned, libraries and fragmentation included.
    """
    main = workload.forward if cell.gradient == "none" else workload.gradient
    with _profiled():
        main()
    synchronise(cell.device)
    resident = peak_rss_bytes()
    if cell.gradient == "none":
        return {"peak_bytes": _allocated(main, cell.device).peak, "peak_rss_bytes": resident}
    found = _allocated(lambda: _gradient_then_loss(workload), cell.device)
    return {"peak_bytes": found.peak, "saved_bytes": found.left, "peak_rss_bytes": resident}


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most bytes that are live at once in a call, measured in its second call, because the first fills caches."""
    with _profiled():
        call()
    return _allocated(call, device).peak


def peak_rss_bytes() -> int:
    """The peak resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gradient_then_loss(workload: Workload) -> Tensor:
    """The loss, after a gradient: in one tracked call, because a tracker takes a tenth of a second.

    The peak is the gradient's, and what is left is the loss's.
    """
    workload.gradient()
    gc.collect()  # what the gradient leaves in reference cycles is no part of the loss
    return workload.loss()


@contextmanager
def _profiled() -> Iterator[None]:
    """A body under a profile function that does nothing, as a first call before a memory tracker is used.

    A tracker is a profile function too, for which the interpreter makes a table of each function's lines. The tables
    stay. In a measured call they would add some ten thousand bytes, the first time only.
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
    has_memray = find_spec("memray") is not None  # not available on every platform
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
    """The bytes asked of malloc. Mapped memory is left out: it is the interpreter's arenas, opened at no fixed time."""
    from memray import AllocatorType

    return sum(record.size for record in records if record.allocator != AllocatorType.MMAP)


def _by_profiler(call: Callable[[], object]) -> Allocated:
    """The bytes of tensors only: the graph's nodes are missing, which are small where states are large."""
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
