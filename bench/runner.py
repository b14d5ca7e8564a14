"""From pending cells to rows: every trial in its process, every outcome recorded as soon as it is known."""

import itertools
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bench.backends import BACKENDS
from bench.environment import environment, git_revision, missing_device, volatile
from bench.failure import TrialFailure
from bench.process import Worker
from bench.progress import Progress
from bench.protocol import Pending, Recorded, blocks, pending
from bench.rounds import timed_in_rounds
from bench.sweep import Sweep
from results.leases import Holder
from results.location import UnwritableError
from results.records import Cell, Run, Trial, TrialStatus
from results.store import Store

_TIMED_TOGETHER = 32  # workers alive at once; each holds some tens of MiB while it waits


class Runner:
    """One going of a sweep: what is pending is measured, and nothing that is there already or is another run's now."""

    def __init__(self, store: Store, sweep: Sweep, progress: Progress):
        self.measured = 0  # trials that a worker was started for
        self.left: Counter[Holder] = Counter()  # trials that other runs were at to the end
        self._store = store
        self._sweep = sweep
        self._progress = progress
        self._run = _run_of(sweep)
        self._leases = store.lease(self._run, longest_s=sweep.measure.timeout_s)
        self._positions = itertools.count()
        self._uncounted: set[str] = set()  # cells that failed while they were counted: not measured further

    def run(self) -> bool:
        """Measure what is pending; False if interrupted. What is recorded stays, whatever happens."""
        due = due_trials(self._store, self._sweep)
        self._store.begin(self._run, self._sweep.planned)
        try:
            with self._progress.over(len(due)):
                held = [block for block in blocks(due) if self._unless_held(block)]
                for block in held:  # by now they may have been measured, or their run has died
                    for holder in self._unless_held(block)[:1]:
                        self.left[holder] += len(block)
        except KeyboardInterrupt:
            self._finish("interrupted")
            return False
        self._finish("complete")
        return True

    def _finish(self, state: str) -> None:
        try:
            self._store.finish(self._run.id, state=state)
        except UnwritableError:
            if not self._store.spooled.files:  # else that is what there is to say
                raise

    def _unless_held(self, block: Sequence[Pending]) -> list[Holder]:
        """Measure a block under a lease of its cells; or nothing of it, and who has leased some.

        Not the rest of it: cells that are compared with each other are timed in the same rounds.
        """
        try:
            if holders := self._leases.take(list({trial.cell.key for trial in block})):
                return holders
            block = self._still_due(block)
        except UnwritableError:
            pass  # what is measured will be spooled
        try:
            self._measure_block(self._possible(block))
        finally:
            self._leases.release()
        self._progress.finish(len(block))
        return []

    def _still_due(self, block: Sequence[Pending]) -> list[Pending]:
        """Without what other runs have measured since it was planned."""
        cells = list(dict.fromkeys(trial.cell for trial in block))
        return pending(cells, _recorded(self._store, cells), self._sweep.measure)

    def _possible(self, block: Sequence[Pending]) -> list[Pending]:
        """Without the cells that need no process to be known as impossible here, which are recorded as such."""
        possible = set()
        for cell in dict.fromkeys(trial.cell for trial in block):
            status, reason = refusal(cell)
            if status == "ok":
                possible.add(cell)
            else:
                self._write(
                    Trial(cell_key=cell.key, kind="counts", status=status, reason=reason, started_at=time.time())
                )
        return [trial for trial in block if trial.cell in possible]

    def _measure_block(self, block: Sequence[Pending]) -> None:
        for trial in block:
            if trial.kind != "timing" and trial.cell.key not in self._uncounted:
                self._measure_alone(trial)
        for index in sorted({trial.process_index for trial in block}):
            timings = [trial for trial in block if (trial.kind, trial.process_index) == ("timing", index)]
            self._measure_timings([trial for trial in timings if trial.cell.key not in self._uncounted])

    def _measure_alone(self, pending: Pending) -> None:
        self._progress.show(pending)
        self._leases.renew()
        with self._interruptible([pending]):
            trial = measured_alone(pending, self._sweep.measure.timeout_s)
        self._record(trial)
        if trial.kind == "counts" and trial.status != "ok":
            self._uncounted.add(trial.cell_key)
        self._progress.advance(1)

    def _measure_timings(self, timings: Sequence[Pending]) -> None:
        measure = self._sweep.measure
        for start in range(0, len(timings), _TIMED_TOGETHER):
            group = timings[start : start + _TIMED_TOGETHER]
            calls = itertools.count(1)

            def before(pending: Pending, group: Sequence[Pending] = group, calls: Iterator[int] = calls) -> None:
                self._progress.show(pending, f"{next(calls)}/{len(group) * (measure.rounds + 1)}")
                self._progress.advance(1 / (measure.rounds + 1))
                self._leases.renew()

            with self._interruptible(group):
                trials = timed_in_rounds(group, measure.rounds, measure.timeout_s, before)
            for trial in trials:
                self._record(trial)

    def _record(self, trial: Trial) -> None:
        self._write(trial)
        self.measured += 1

    def _write(self, trial: Trial) -> None:
        self._store.record(self._run.id, replace(trial, position=next(self._positions)))

    @contextmanager
    def _interruptible(self, trials: Sequence[Pending]) -> Iterator[None]:
        """Ctrl-C in here leaves a row for each of the trials, which are then measured anew by the next run."""
        try:
            yield
        except KeyboardInterrupt:
            for one in trials:
                self._write(_interrupted(one))
            raise


def due_trials(store: Store, sweep: Sweep) -> list[Pending]:
    """What of the sweep is not recorded yet in this environment."""
    cells = list(dict.fromkeys(planned.cell for planned in sweep.planned))
    return pending(cells, _recorded(store, cells), sweep.measure)


def _recorded(store: Store, cells: Iterable[Cell]) -> Recorded:
    return store.recorded(environment().fingerprint, [cell.key for cell in cells])


def refusal(cell: Cell) -> tuple[TrialStatus, str]:
    """Why the cell cannot be measured here, known before any process is started; "ok" if it can."""
    if reason := BACKENDS[cell.backend].unsupported(cell):
        return "unsupported", reason
    if reason := missing_device(cell.device):
        return "unavailable", reason
    return "ok", ""


def measured_alone(pending: Pending, timeout_s: float) -> Trial:
    """A trial of anything but time, in a process of its own; its failure is its outcome."""
    trial = Trial(cell_key=pending.cell.key, kind=pending.kind, started_at=time.time())
    worker = Worker(pending.cell, pending.kind, timeout_s)
    try:
        with worker:
            outcome = worker.outcome()
    except TrialFailure as failure:
        return _ended(trial, status=failure.status, reason=failure.reason, log_tail=worker.log_tail)
    return _ended(trial, metrics=outcome.metrics, curves=outcome.curves, log_tail=worker.log_tail)


def _ended(trial: Trial, **found: Any) -> Trial:
    return replace(trial, duration_s=time.time() - trial.started_at, **found)


def _interrupted(pending: Pending) -> Trial:
    return Trial(
        cell_key=pending.cell.key,
        kind=pending.kind,
        process_index=pending.process_index,
        status="interrupted",
        reason="the run was interrupted: run the sweep again",
        started_at=time.time(),
    )


def _run_of(sweep: Sweep) -> Run:
    revision, dirty = git_revision()
    return Run(
        id=uuid.uuid4().hex,
        sweep_name=sweep.name,
        sweep_text=sweep.text,
        environment=environment(),
        started_at=time.time(),
        git_revision=revision,
        git_dirty=dirty,
        volatile=volatile(),
    )
