"""A trial of any kind but timing: one process by itself."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

from bench.failure import TrialFailure
from bench.worker.process import started
from bench.worker.task import Task
from results.records import Trial, TrueValues


class TrialResult(NamedTuple):
    """A trial, with the true values that it computed."""

    trial: Trial
    true_values: tuple[TrueValues, ...] = ()  # those that the trial had to compute


def run_trial(task: Task) -> TrialResult:
    """The result of a task in its own process; a failure is an outcome of the trial too."""
    trial = Trial(cell_key=task.cell.key, kind=task.kind, started_at=time.time())
    start = time.perf_counter()  # monotonic: the wall clock may be set
    worker = started(task)
    found: dict[str, Any] = {}
    true_values: tuple[TrueValues, ...] = ()
    try:
        with worker:
            outcome = worker.outcome()
        found, true_values = {"metrics": outcome.metrics, "curves": outcome.curves}, outcome.true_values
    except TrialFailure as failure:
        found = {"status": failure.status, "reason": failure.reason}
    spent_s = time.perf_counter() - start
    return TrialResult(replace(trial, duration_s=spent_s, log_tail=worker.log_tail, **found), true_values)
