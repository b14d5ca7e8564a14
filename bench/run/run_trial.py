"""A trial of anything but time: one process that nothing else is compared with."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

from bench.failure import TrialFailure
from bench.worker.process import started
from bench.worker.task import Task
from results.records import Trial, TrueValues


class TrialResult(NamedTuple):
    """What came of it."""

    trial: Trial
    references: tuple[TrueValues, ...] = ()  # true values that it had to compute


def run_trial(task: Task) -> TrialResult:
    """The trial in a process of its own; its failure is its outcome."""
    trial = Trial(cell_key=task.cell.key, kind=task.kind, started_at=time.time())
    start = time.perf_counter()  # which nobody sets, as they may the clock of the wall
    worker = started(task)
    found: dict[str, Any] = {}
    references: tuple[TrueValues, ...] = ()
    try:
        with worker:
            outcome = worker.outcome()
        found, references = {"metrics": outcome.metrics, "curves": outcome.curves}, outcome.references
    except TrialFailure as failure:
        found = {"status": failure.status, "reason": failure.reason}
    spent_s = time.perf_counter() - start
    return TrialResult(replace(trial, duration_s=spent_s, log_tail=worker.log_tail, **found), references)
