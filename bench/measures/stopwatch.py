"""Seconds of what is done while it runs; it stands still in between."""

import time
from types import TracebackType
from typing import Self

from bench.measures.clock import synchronise


class Stopwatch:
    """A context manager: the seconds inside are added up, the device synchronised at both ends."""

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
