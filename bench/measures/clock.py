"""The wall time of a call that is warmed up, repeated for long enough, and synchronised with its device."""

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_SAMPLE_S = 0.005  # a sample lasts at least this long, so that the clock's own error is negligible
_LONG_S = 0.05  # a first call longer than this means one call a sample, without a second call to find out


@dataclass(frozen=True)
class Clocked:
    """A warmed-up call that is ready to be sampled."""

    call: Callable[[], object]
    device: str
    first_call_s: float
    repeats: int  # calls a sample

    def sample(self) -> float:
        """The mean seconds of a call over the sample's repeats."""
        return _timed(self.call, self.device, self.repeats) / self.repeats


def warm_up(call: Callable[[], object], device: str) -> Clocked:
    """A call that has been timed once, as the first call fills caches, and if short once more to choose the repeats."""
    first = _timed(call, device, 1)
    second = first if first > _LONG_S else _timed(call, device, 1)
    return Clocked(call, device, first, max(1, math.ceil(_SAMPLE_S / max(second, 1e-7))))


@contextmanager
def collection_off() -> Iterator[None]:
    """A body without garbage collection; existing garbage is collected before it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _timed(call: Callable[[], object], device: str, repeats: int) -> float:
    synchronise(device)
    with collection_off():
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        synchronise(device)
        return time.perf_counter() - start


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was asked to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
