"""The signals to end (Ctrl-C, SIGTERM, SIGHUP): none is lost, and none ends in a traceback.

Python raises a KeyboardInterrupt at any point: in a callback of the garbage collector, say, which can only print and
forget it; or in the middle of an import, which may turn it into any other error. So the process remembers which signal
came first, ends at once while it imports, and lets no later signal cut short the clean-up that the first has begun.
A run also checks between any two measurements. What must be done whole or not at all is done with signals `deferred`:
otherwise a trial could be written without being counted as written.
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
    """The answer of the whole process to signals to end, from its first line to its last."""

    def __init__(self) -> None:
        self.number = 0  # of the first signal that came; 0 if none has

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for a process ended by this signal: 130 for Ctrl-C."""
        return 128 + (self.number or signal.SIGINT)

    def begin(self) -> None:
        """Install the signal handlers."""
        for number in _heeded():
            signal.signal(number, self._answer)
        before = sys.unraisablehook
        sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, KeyboardInterrupt) else before(lost)

    def tell(self) -> None:
        """Write one line that the process was interrupted, past sys.stderr, which may be broken."""
        by = f" by {signal.Signals(self.number).name}" if self.number not in (0, signal.SIGINT) else ""
        with contextlib.suppress(OSError):  # the terminal is gone
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
    """Ignore signals to end from now on: the process is about to exit, and only has to say so."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interrupt:
    """A context in which a signal to end raises KeyboardInterrupt: at once, at the next `check` if that was lost,
    or after `hold` has ended.

    `hold` sets one flag, which no signal cuts in two: a signal before it raises, a signal after it waits.
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
        """Let signals wait until `release` or until the end of the context."""
        self._held = True

    def release(self) -> None:
        """Answer signals again; the first one that waits is raised at once."""
        self._held = False
        waiting, self._waiting = self._waiting, []
        for first in waiting[:1]:
            signal.raise_signal(first)

    def end(self) -> None:
        """Answer no signal in this context any more: an earlier signal has ended the work it protects."""
        self._held = self._over = True

    def check(self) -> None:
        """Raise a KeyboardInterrupt if a signal came whose KeyboardInterrupt was lost."""
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
    """A short body that no signal to end interrupts: a signal that comes meanwhile is raised when the body is done."""
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
def terminal_signals_blocked() -> Iterator[None]:
    """A body whose new processes do not receive the signals that a terminal sends to its whole process group.

    They start with these signals blocked, which lasts. In this process the signals wait until the body is done.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _heeded() -> list[signal.Signals]:
    """The signals to end that this process was not started to ignore, as nohup and a shell's `&` start it."""
    return [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


def _imports(frame: FrameType | None) -> bool:
    """Whether the frame runs inside an import statement."""
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load" and frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _is_interrupted() -> bool:
    """Whether the process is cleaning up after a KeyboardInterrupt."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
