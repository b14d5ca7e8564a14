"""A worker as the runner sees it: a process that is started, asked, timed out, and ended with all its descendants."""

import contextlib
import math
import signal
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from bench.failure import InfrastructureError, TrialFailure
from bench.interrupt import deferred
from bench.machine import temporary
from bench.machine.descendants import end_all_of, end_strays, fork_server
from bench.machine.limits import oom_kills
from bench.worker.entrance import serve
from bench.worker.forkserver import begin, context, is_gone
from bench.worker.outcome import Hindered, Outcome, Sampled, Started, lacks_memory
from bench.worker.task import Task

_LOG_TAIL = 10_000  # characters of a worker's output that its row keeps: a traceback or two
_LAST_WORDS = 300  # characters of the output that the reason of a crash repeats
_FATAL = "Fatal Python error: "  # what Python writes on a signal that kills it, with a traceback
_NOT_KNOWN = 255  # multiprocessing's exit code for a process whose server does not report one
_START_S = 120.0  # for a new process to report that it has started; a spawned one loads torch first
_PATIENCE_S = 60.0  # for a process that has closed its pipe to be gone; long, for a busy machine
_PAUSE_S = 0.5  # before a worker is started for the second time
_LITTLE = 2**26  # bytes: with so small a limit, native code crashes because it does not expect an allocation to fail


def started(task: Task) -> "Worker":
    """A worker for the task; an InfrastructureError if the machine twice does not let one start."""
    try:
        return Worker(task)
    except InfrastructureError:
        time.sleep(_PAUSE_S)
        return Worker(task)


class Worker:
    """A started, isolated process for one trial. A context manager that ends the process."""

    def __init__(self, task: Task) -> None:
        self.log_tail = ""  # the end of the worker's output; known when it has ended
        self.deadline = math.inf  # on the monotonic clock: the latest time of its next answer
        self._timeout_s = task.timeout_s
        self._memory_bytes = task.memory_bytes
        self._kills = oom_kills()
        starting = context(task.cell.device)
        self._spawned = starting.get_start_method() == "spawn"
        try:
            self._connection, theirs = starting.Pipe()
            self._folder = tempfile.TemporaryDirectory(prefix="worker-", dir=temporary.folder())
            self._log = Path(self._folder.name) / "log"
            self._process = starting.Process(target=serve, args=(theirs, task, self._log), daemon=True)
            self._start(theirs)
        except (OSError, EOFError) as error:  # no pipe, no folder or no process: the forkserver may be dead
            raise _not_started(f"{type(error).__name__}: {error}") from error

    def _start(self, theirs: Connection) -> None:
        try:
            with theirs, deferred():  # interrupted, the half-started process would print an error
                begin(self._process)
            self._server = None if self._spawned else fork_server()
            self._await_start()
            self.deadline = time.monotonic() + self._timeout_s
        except BaseException:  # nothing else would end the process yet
            self.end()
            raise

    def _await_start(self) -> None:
        """Wait until the worker reports that it has started: a failure after that is the cell's."""
        if not wait([self._connection, self._process.sentinel], _START_S):
            raise _not_started(f"it was silent for {_START_S:g} s")
        first = self._received()
        if not isinstance(first, Started):
            raise _not_started(f"it {self._how()[0]}")
        if first.obstacle:
            raise _not_started(first.obstacle)

    @property
    def sources(self) -> tuple[Connection, int]:
        """What is ready as soon as the worker has answered or died."""
        return self._connection, self._process.sentinel

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def outcome(self) -> Outcome:
        """The worker's outcome; a TrialFailure if it failed, took too long, or died."""
        answer = self._receive()
        if not isinstance(answer, Outcome):
            raise TypeError(f"a worker sent {type(answer).__name__} where its outcome was due")
        if answer.status != "ok":
            raise TrialFailure(answer.status, answer.reason)
        return answer

    def sample(self) -> Sampled:
        """One sample, from a timing worker."""
        self.deadline = time.monotonic() + self._timeout_s
        with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is received
            self._connection.send("sample")
        answer = self._receive()
        if isinstance(answer, Outcome):
            raise TrialFailure(answer.status, answer.reason)
        return answer

    def _receive(self) -> Outcome | Sampled:
        if not wait(self.sources, max(0.0, self.deadline - time.monotonic())):
            self.end()
            raise TrialFailure("timeout", f"no answer within {self._timeout_s:g} s: raise timeout_s or ask for less")
        answer = self._received()
        if isinstance(answer, Hindered):
            raise InfrastructureError(
                f"a worker was stopped, and not by its cell: {answer.reason}: {answer.remedy}, "
                "and run the same command again"
            )
        if isinstance(answer, Outcome | Sampled):
            return answer
        death = self._death()
        if self._server is not None and self._process.exitcode == _NOT_KNOWN and is_gone(self._server):
            raise InfrastructureError(
                "the process that starts the workers was killed, and a worker with it: run the same command again"
            )
        raise death

    def _received(self) -> object:
        """The worker's next message; None if the worker has died."""
        try:
            if self._connection.poll():  # else recv may block: a dead worker's child may hold the pipe
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        return None

    def _death(self) -> TrialFailure:
        how, code = self._how()
        output = " ".join(_end(self._log).partition(_FATAL)[0][-_LAST_WORDS:].split())
        reason = f"the worker {how}" + (f"; it said: {output}" if output else "")
        if self._lacked_memory(code):
            return TrialFailure("out_of_memory", f"{reason}: raise memory_gib, or ask for less")
        return TrialFailure("crashed", reason)

    def _how(self) -> tuple[str, int]:
        """A text that says how the process has ended, and its exit code."""
        self._process.join(_PATIENCE_S)
        end_all_of(self.pid)
        code = self._process.exitcode or 0
        return (f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"), code

    def _lacked_memory(self, code: int) -> bool:
        """Whether the worker has died for lack of memory, as far as that can be known."""
        if code == -signal.SIGKILL:  # by the kernel, which counts such kills, or by a person
            kills = oom_kills()
            return kills is None or self._kills is None or kills > self._kills
        little = self._memory_bytes is not None and self._memory_bytes < _LITTLE
        return lacks_memory(_end(self._log)) or (little and code != 0)

    def end(self) -> None:
        """End the process with all that it has started; harmless if it has ended already."""
        self._connection.close()
        if self.pid and self._process.is_alive():
            end_all_of(self.pid)
            self._process.kill()
        if self.pid:
            self._process.join()
        end_strays()
        self.log_tail = _end(self._log) or self.log_tail
        with contextlib.suppress(OSError):
            self._folder.cleanup()


def next_to_answer(workers: Sequence[Worker]) -> int:
    """The index of the first worker that answers, dies or is late."""
    indices = {source: index for index, worker in enumerate(workers) for source in worker.sources}
    earliest = min(range(len(workers)), key=lambda index: workers[index].deadline)
    ready = wait(list(indices), max(0.0, workers[earliest].deadline - time.monotonic()))
    return indices[cast(Connection | int, ready[0])] if ready else earliest


def _not_started(why: str) -> InfrastructureError:
    return InfrastructureError(
        f"no worker could be started: {why}: nothing of its cell was stored; free what is missing (memory, processes, "
        "room in the temporary folder), and run the same command again"
    )


def _end(log: Path) -> str:
    """The last characters of a log, which may be very long."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4 * _LOG_TAIL))  # at most 4 bytes per character
            return file.read().decode(errors="replace")[-_LOG_TAIL:]
    except OSError:  # the log was never created, or its folder was removed
        return ""
