"""A trial of anything but time: one process that nothing else is compared with."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

from bench.failure import TrialFailure
from bench.process import Worker
from bench.task import Task
from results.records import Reference, Trial


class Alone(NamedTuple):
    """What came of it."""

    trial: Trial
    references: tuple[Reference, ...] = ()  # true values that it had to compute


def measured_alone(task: Task) -> Alone:
    """The trial in a process of its own; its failure is its outcome."""
    trial = Trial(cell_key=task.cell.key, kind=task.kind, started_at=time.time())
    worker = Worker(task)
    try:
        with worker:
            outcome = worker.outcome()
    except TrialFailure as failure:
        return Alone(_ended(trial, status=failure.status, reason=failure.reason, log_tail=worker.log_tail))
    ended = _ended(trial, metrics=outcome.metrics, curves=outcome.curves, log_tail=worker.log_tail)
    return Alone(ended, outcome.references)


def _ended(trial: Trial, **found: Any) -> Trial:
    return replace(trial, duration_s=time.time() - trial.started_at, **found)
