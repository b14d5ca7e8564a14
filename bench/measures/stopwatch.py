"""A stopwatch for a device: it adds up the seconds of several bodies."""

import time
from types import TracebackType
from typing import Self

from bench.measures.clock import synchronise


class Stopwatch:
    """A context manager that adds up the seconds spent inside; the device is synchronised at both ends."""

    def __init__(self, device: str) -> None:
        self.seconds = 0.0
        self._device = device
        self._start = 0.0

    def __enter__(self) -> Self:
        synchronise(self._device)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        synchronise(self._device)
        self.seconds += time.perf_counter() - self._start
