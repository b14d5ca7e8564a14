"""Randomised interleaved rounds: the cells of a group are timed in alternation, so that a disturbance affects all.

Two identical workloads timed one after the other differ by up to half on a shared machine; timed in alternation and
compared pair by pair, by some hundredths. So all workers of a group are alive together, one runs at a time while the
others wait on their pipes, and each round times every cell once, in a new random order.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.failure import TrialFailure
from bench.worker.process import Worker, started
from bench.worker.task import Task
from results.records import Sample, Trial

_LEAST_ROUNDS = 2  # of the slowest cell, in each process


@dataclass
class _Timed:
    """A timing trial during its rounds."""

    task: Task
    started_at: float
    worker: Worker | None = None
    spent_s: float = 0.0
    sampled_s: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failure: TrialFailure | None = None

    @contextmanager
    def spending(self) -> Iterator[None]:
        """A body whose time counts as the trial's; a failure in it is the trial's outcome."""
        start = time.perf_counter()
        try:
            yield
        except TrialFailure as failure:
            self.failure = failure
        finally:
            self.spent_s += time.perf_counter() - start

    def warm_up(self, workers: ExitStack) -> None:
        """Start the worker and wait until it has warmed up."""
        self.worker = workers.enter_context(started(self.task))
        self.metrics = dict(self.worker.outcome().metrics)

    def sample(self, round_index: int, position: int) -> None:
        """Take one sample of each of the worker's clocks."""
        if self.worker is None:
            raise RuntimeError("warm_up comes before sample")
        sampled = self.worker.sample()
        for name, (seconds, repeats) in sampled.seconds.items():
            self.samples.setdefault(name, []).append(Sample(round_index, position, seconds, repeats))
        self.sampled_s += sampled.busy_s
        self.metrics["busy_s"] += sampled.busy_s
        self.metrics |= sampled.readings

    def takes_part(self, round_index: int, sampling_s: float) -> bool:
        """Whether this trial is sampled in a round."""
        return self.failure is None and (round_index < _LEAST_ROUNDS or self.sampled_s < sampling_s)

    def trial(self) -> Trial:
        """The trial's record, once its worker has ended."""
        return Trial(
            cell_key=self.task.cell.key,
            kind=self.task.kind,
            process_index=self.task.process_index,
            status=self.failure.status if self.failure else "ok",
            reason=self.failure.reason if self.failure else "",
            started_at=self.started_at,
            duration_s=self.spent_s,
            log_tail=self.worker.log_tail if self.worker else "",
            metrics=self.metrics,
            samples=self.samples,
        )


def timed_in_rounds(
    tasks: Sequence[Task],
    rounds: int,
    before: Callable[[Task], None],
    *,
    sampling_s: float = math.inf,
    until: float | None = None,
) -> list[Trial]:
    """The trials of a group, each with one sample per round, in the order of the tasks.

    `before` is called with the task that is measured next. A trial whose samples have taken `sampling_s` seconds takes
    part in two rounds at least and then in no other. After `until`, on the monotonic clock, no round but the first
    begins.
    """
    group = [_Timed(task, time.time()) for task in tasks]
    with ExitStack() as workers:
        for timed in group:
            before(timed.task)
            with timed.spending():
                timed.warm_up(workers)
        for round_index in range(rounds):
            if until is not None and round_index > 0 and time.monotonic() > until:
                break
            taking_part = [timed for timed in group if timed.takes_part(round_index, sampling_s)]
            random.shuffle(taking_part)
            for position, timed in enumerate(taking_part):
                before(timed.task)
                with timed.spending():
                    timed.sample(round_index, position)
    return [timed.trial() for timed in group]
