"""Ctrl-C and its like, which are never lost.

Python raises a KeyboardInterrupt wherever it happens to be: in a callback of the garbage collector, say, which can only
print and forget it. So the signal is also remembered, and the runner asks between any two measurements. Or between a
trial's being written and its being known to be: what must be done whole or not at all is done with signals `deferred`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """A context in which a signal to end raises KeyboardInterrupt, now or at the next `check`."""

    def __init__(self) -> None:
        self._signalled = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise what was signalled and got lost."""
        if self._signalled:
            self._signalled = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """A short body that no signal to end cuts in two: the signal comes when it is done."""
    if threading.current_thread() is not threading.main_thread():  # signals are answered in the main thread
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in came[:1]:
            signal.raise_signal(first)
