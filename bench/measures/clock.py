"""Wall time of a call: warmed up, repeated until it lasts, the device synchronised."""

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

_SAMPLE_S = 0.005  # a sample lasts at least this long, so that the clock's own error is nothing
_LONG_S = 0.05  # a first call longer than this is one call a sample, whatever the second would take


@dataclass(frozen=True)
class Clocked:
    """A call that is ready to be sampled."""

    call: Callable[[], object]
    device: str
    first_call_s: float
    repeats: int  # calls a sample

    def sample(self) -> float:
        """Mean seconds of a call over the sample's repeats."""
        return _timed(self.call, self.device, self.repeats) / self.repeats


def warm_up(call: Callable[[], object], device: str) -> Clocked:
    """Call once apart, as the first call pays for caches, and a short one once more to choose the repeats."""
    first = _timed(call, device, 1)
    second = first if first > _LONG_S else _timed(call, device, 1)
    return Clocked(call, device, first, max(1, math.ceil(_SAMPLE_S / max(second, 1e-7))))


@contextmanager
def collection_off() -> Iterator[None]:
    """No garbage collection inside; what there was is collected before."""
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
    """Wait for what the device has been asked to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
