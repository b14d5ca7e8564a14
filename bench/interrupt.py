"""Ctrl-C and its like, which are never lost and never a traceback.

Python raises a KeyboardInterrupt wherever it happens to be: in a callback of the garbage collector, say, which can only
print and forget it; or in the middle of an import, which may make any other error of it. So the process remembers which
signal came first, ends at once while it imports, and lets nothing cut short what the first signal has begun to undo.
A run asks between any two measurements, too. What must be done whole or not at all is done with signals `deferred`:
or a trial would be written, and not be known to be.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """How the whole process answers signals to end, from its first lines to its last."""

    def __init__(self) -> None:
        self.number = 0  # of the first signal that came

    @property
    def exit_code(self) -> int:
        """What a shell reports of a process that this signal has ended: 130 for Ctrl-C."""
        return 128 + (self.number or signal.SIGINT)

    def begin(self) -> None:
        """Answer signals from now on."""
        for number in _heeded():
            signal.signal(number, self._answer)
        told = sys.unraisablehook
        sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, KeyboardInterrupt) else told(lost)

    def tell(self) -> None:
        """Say that the process was interrupted, in one line, even if what it writes with is broken."""
        by = f" by {signal.Signals(self.number).name}" if self.number not in (0, signal.SIGINT) else ""
        with contextlib.suppress(OSError):  # of a terminal that is gone
            os.write(2, f"nodebench: interrupted{by}\n".encode())

    def _answer(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if _imports(frame):
            ignore_all()
            self.tell()
            os._exit(self.exit_code)
        if not _is_interrupted():
            raise KeyboardInterrupt


def ignore_all() -> None:
    """Answer no signal to end any more: the process is about to exit, and has only to say so."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interrupt:
    """A context in which a signal to end raises KeyboardInterrupt: now, at the next `check`, or when it is not held.

    To hold it takes one step, which no signal cuts in two: before it a signal raises, after it a signal waits.
    """

    def __init__(self) -> None:
        self._signalled = False
        self._held = False
        self._over = False
        self._waiting: list[int] = []  # signals that came while it was held
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.getsignal(number) for number in _heeded()}
            for number in self._before:  # all are known before the first may come
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if not self._over:
            for first in self._waiting[:1]:
                signal.raise_signal(first)

    def hold(self) -> None:
        """Let signals wait, for `go_on` or for the end of the context."""
        self._held = True

    def go_on(self) -> None:
        """Answer signals again, the one that waits at once."""
        self._held = False
        waiting, self._waiting = self._waiting, []
        for first in waiting[:1]:
            signal.raise_signal(first)

    def end(self) -> None:
        """Answer no signal in this context any more: one has ended what it is about."""
        self._held = self._over = True

    def check(self) -> None:
        """Raise what was signalled and got lost."""
        if self._signalled:
            self._signalled = False
            raise KeyboardInterrupt

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._waiting.append(number)
            return
        self._signalled = True
        if not callable(self._before[number]):
            raise KeyboardInterrupt
        self._before[number](number, None)  # without the frame: a run has workers to end, even while it imports


@contextmanager
def deferred() -> Iterator[None]:
    """A short body that no signal to end cuts in two: the signal comes when it is done."""
    if threading.current_thread() is not threading.main_thread():  # signals are answered in the main thread
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in SIGNALS:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for first in came[:1]:
            signal.raise_signal(first)


@contextmanager
def unheard() -> Iterator[None]:
    """A body whose new processes do not hear what a terminal signals to all that it has started.

    They are born with these signals blocked, which lasts. For this process they wait until the body is done.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _heeded() -> list[signal.Signals]:
    """The signals that whoever has started this process does not want ignored, as nohup and a shell's `&` do."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def _imports(frame: FrameType | None) -> bool:
    """Whether an import statement is under way."""
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load" and frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _is_interrupted() -> bool:
    """Whether the process undoes what a KeyboardInterrupt has cut short."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
