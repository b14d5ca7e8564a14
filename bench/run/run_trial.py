"""Trials of anything but time: each has a process of its own, and nothing of it is compared by a clock."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bench.failure import TrialFailure
from bench.worker.process import Worker, next_to_answer, started
from bench.worker.task import Task
from results.records import Trial, TrueValues


class TrialResult(NamedTuple):
    """A trial, and the true values that it had to compute."""

    task: Task
    trial: Trial
    true_values: tuple[TrueValues, ...] = ()


def run_trial(task: Task) -> TrialResult:
    """The trial in a process of its own; its failure is its outcome."""
    (result,) = run_trials([task])
    return result


def run_trials(
    tasks: Sequence[Task], before: Callable[[Task], None] = lambda _: None
) -> Generator[TrialResult, None, None]:
    """The results of trials that run side by side, in the order in which they end. `before` is called as each starts.

    Close the generator where it is not read to its end: that ends the processes.
    """
    with ExitStack() as workers:
        running = []
        for task in tasks:
            before(task)
            running.append(_Running(task, time.time(), time.perf_counter(), workers.enter_context(started(task))))
        while running:
            yield running.pop(next_to_answer([one.worker for one in running])).result()


@dataclass
class _Running:
    """A trial whose process is at work."""

    task: Task
    started_at: float  # seconds since the epoch
    start: float  # on a clock that nobody sets, as they may the clock of the wall
    worker: Worker

    def result(self) -> TrialResult:
        """The result, once the worker has ended."""
        found: dict[str, Any] = {}
        true_values: tuple[TrueValues, ...] = ()
        try:
            with self.worker:
                outcome = self.worker.outcome()
            found, true_values = {"metrics": outcome.metrics, "curves": outcome.curves}, outcome.true_values
        except TrialFailure as failure:
            found = {"status": failure.status, "reason": failure.reason}
        trial = Trial(
            cell_key=self.task.cell.key,
            kind=self.task.kind,
            started_at=self.started_at,
            duration_s=time.perf_counter() - self.start,
            log_tail=self.worker.log_tail,
        )
        return TrialResult(self.task, replace(trial, **found), true_values)
