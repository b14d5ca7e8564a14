"""A worker seen from the runner: started apart, asked, timed out and ended with all that it has started."""

import contextlib
import signal
import tempfile
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.failure import TrialFailure
from bench.forkserver import begin, context
from bench.interrupt import deferred
from bench.machine import temporary
from bench.machine.descendants import end_all_of, end_strays
from bench.task import Task
from bench.worker import Outcome, Sampled, serve

_LOG_TAIL = 2_000  # characters of a worker's output that its row keeps
_LAST_WORDS = 300  # characters of it that the reason of a crash repeats


class Worker:
    """One isolated process for one trial. A context manager, which ends it."""

    def __init__(self, task: Task):
        self.log_tail = ""  # the end of what it has printed; known when it has ended
        self._timeout_s = task.timeout_s
        self._folder = tempfile.TemporaryDirectory(prefix="worker-", dir=temporary.folder())
        self._log = Path(self._folder.name) / "log"
        starting = context(task.cell.device)
        self._connection, theirs = starting.Pipe()
        self._process = starting.Process(target=serve, args=(theirs, task, self._log), daemon=True)
        try:
            with deferred():  # a process that has half started complains of its parent's silence
                begin(self._process)
        except BaseException:  # nobody else knows of the process yet
            self.end()
            raise
        theirs.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def outcome(self) -> Outcome:
        """What the worker found; a TrialFailure if it could not, did not in time, or died."""
        answer = self._receive()
        if not isinstance(answer, Outcome):
            raise TypeError(f"a worker sent {type(answer).__name__} where its outcome was due")
        if answer.status != "ok":
            raise TrialFailure(answer.status, answer.reason)
        return answer

    def sample(self) -> Sampled:
        """One sample of a timing worker."""
        with contextlib.suppress(OSError):  # a dead worker is told by what is received
            self._connection.send("sample")
        answer = self._receive()
        if isinstance(answer, Outcome):
            raise TrialFailure(answer.status, answer.reason)
        return answer

    def _receive(self) -> Outcome | Sampled:
        ready = wait([self._connection, self._process.sentinel], self._timeout_s)
        if not ready:
            self.end()
            raise TrialFailure("timeout", f"no answer within {self._timeout_s:g} s: raise timeout_s or ask for less")
        try:
            if self._connection.poll():  # or it has died, and a child of it may hold its end of the pipe open
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        raise self._death()

    def _death(self) -> TrialFailure:
        self._process.join(self._timeout_s)
        end_all_of(self.pid)
        code = self._process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        advice = ": most likely the machine ran out of memory" if code == -signal.SIGKILL else ""
        said = " ".join(_end(self._log)[-_LAST_WORDS:].split())
        return TrialFailure("crashed", f"the worker was {how}{advice}" + (f"; it said: {said}" if said else ""))

    def end(self) -> None:
        """End the process with all that it has started; harmless when it has ended already."""
        self._connection.close()
        if self.pid and self._process.is_alive():
            end_all_of(self.pid)
            self._process.kill()
        if self.pid:
            self._process.join()
        end_strays()
        self.log_tail = _end(self._log) or self.log_tail
        self._folder.cleanup()


def _end(log: Path) -> str:
    """The last characters; a worker may have printed without an end."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4 * _LOG_TAIL))  # 4 bytes a character at most
        return file.read().decode(errors="replace")[-_LOG_TAIL:]
