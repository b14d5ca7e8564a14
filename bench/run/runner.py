"""The execution of a sweep: each pending trial runs in its own process, and each outcome is recorded at once."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.code_files import changed_since_read
from bench.failure import InfrastructureError
from bench.interrupt import Interrupt
from bench.machine.environment import environment, git_revision, volatile
from bench.plan.due import Again, Recorded, due_trials, pending, recorded
from bench.plan.feasible import refusal
from bench.plan.protocol import Pending, blocks
from bench.run.progress import Progress
from bench.source import sources_of
from bench.sweep.file import Sweep
from bench.sweep.measure import asked
from bench.worker import forkserver
from bench.worker.task import Task
from results.engine.location import UnwritableError
from results.records import Cell, NoiseFloor, Run, RunState, Trial
from results.store import Store
from results.write.leases import Holder

if TYPE_CHECKING:
    from bench.run.measured_so_far import MeasuredSoFar


class Runner:
    """One execution of a sweep: it measures what is due, except what another run is measuring now."""

    def __init__(self, store: Store, sweep: Sweep, progress: Progress, again: Again | None = None) -> None:
        """`again`: the trials that are measured again although they count."""
        self.measured = 0  # trials for which a worker was started
        self.overhead_s = 0.0  # seconds of these trials beside preparing and measuring: of their processes
        self.left: Counter[Holder] = Counter()  # due trials that other runs were measuring to the end
        self.found = Recorded()  # the trials that counted when the run began
        self.nothing_due = False
        self._store = store
        self._sweep = sweep
        self._again = again
        self._exact_enough = sweep.exact_enough()
        self._cells = sweep.cells
        self._progress = progress
        self._interrupt = Interrupt()
        self._run = _run_of(sweep)
        self._leases = store.lease(self._run, longest_s=sweep.measure.timeout_s)
        self._positions = itertools.count()

    def run(self) -> bool:
        """Measure what is due; False if interrupted. Recorded trials stay, whatever happens.

        An InfrastructureError ends the run: nothing is recorded of the trials that were under way.
        """
        self.found = recorded(self._store, self._sweep.wanted)
        due = due_trials(self._sweep, self.found, self._again)
        self.nothing_due = not due
        if due:
            forkserver.start()
        with self._interrupt:
            self._interrupt.hold()  # otherwise a run could be written as begun and never as ended
            self._store.begin(self._run, self._sweep.planned, sources_of(self._cells))
            return self._measured(due)

    def _measured(self, due: Sequence[Pending]) -> bool:
        """Measure what is due of the run that has begun, and write its final state.

        The state is written after the error handlers: an error that is being handled holds the transaction that it was
        raised in, and a second transaction would wait for that.
        """
        obstacle: InfrastructureError | None = None
        interrupted = False
        try:
            self._interrupt.release()
            self._measure_all(due)
            self._interrupt.hold()
        except KeyboardInterrupt:
            self._interrupt.end()
            interrupted = True
        except InfrastructureError as error:
            self._interrupt.hold()
            obstacle = error.with_traceback(None)
        self._finish("interrupted" if interrupted or obstacle else "complete")
        if obstacle:
            raise obstacle
        return not interrupted

    def _measure_all(self, due: Sequence[Pending]) -> None:
        with self._progress.over(len(due), self._sweep.measure):
            held = []
            for block in blocks(due):
                holders = self._measure_unless_held(block)
                if holders:
                    held.append(block)
            for block in held:  # by now they may have been measured, or their run has died
                for holder in self._measure_unless_held(block)[:1]:
                    self.left[holder] += len(block)

    def _finish(self, state: RunState) -> None:
        self._leases.release()  # of a block that was cut short
        try:
            self._store.finish(self._run.id, state=state)
        except UnwritableError:
            if not self._store.spooled.files:  # else the spooled trials are reported instead
                raise

    def _measure_unless_held(self, block: Sequence[Pending]) -> list[Holder]:
        """Measure a block under a lease of its cells; if other runs have leased some of them, only return these runs.

        The remaining cells wait too, because cells that are compared with each other are timed in the same rounds.
        """
        with contextlib.suppress(UnwritableError):  # the trials will be spooled
            if holders := self._leases.take(list({trial.cell.key for trial in block})):
                return holders
        self._measure(block)
        self._leases.release()
        self._progress.finish(len(block))
        return []

    def _measure(self, block: Sequence[Pending]) -> None:
        """Measure what is still due of a block, and record the cells that cannot be measured here."""
        from bench.run.block_runner import (
            BlockRunner,  # imports pandas, which a run with nothing due does not need
        )
        from bench.run.measured_so_far import MeasuredSoFar

        _check_unedited()
        known = MeasuredSoFar(self._store, self._by_block[block[0].cell.block], self._again, self._exact_enough)
        due = pending(dict.fromkeys(trial.cell for trial in block), known.recorded, self._run.measure)
        impossible = set()
        for cell in dict.fromkeys(trial.cell for trial in due):
            if self._record_impossible(cell, known):
                impossible.add(cell)
        sweep = self._sweep
        measuring = BlockRunner(known, sweep.measure, use=sweep.use, record=self._record, before=self._before)
        self._write_floors(measuring.measure([trial for trial in due if trial.cell not in impossible]))

    @cached_property
    def _by_block(self) -> dict[tuple[Any, ...], list[Cell]]:
        """The sweep's cells by block: by the values that they must share to be compared."""
        found: dict[tuple[Any, ...], list[Cell]] = {}
        for cell in self._cells:
            found.setdefault(cell.block, []).append(cell)
        return found

    def _record_impossible(self, cell: Cell, known: MeasuredSoFar) -> bool:
        """Whether the cell is known not to be measurable here; if so, that is recorded."""
        status, reason = refusal(cell)
        if status != "ok":
            refused = Trial(cell_key=cell.key, kind="counts", status=status, reason=reason, started_at=time.time())
            self._write(known.with_source(refused))
        return status != "ok"

    def _before(self, task: Task) -> None:
        """Do what must be done between two measurements, because nothing else may run during one."""
        self._interrupt.check()
        self._progress.show(task)
        self._leases.renew()

    def _record(self, trial: Trial) -> None:
        _check_unedited()
        self._write(trial)
        self.measured += trial.status != "interrupted"
        self.overhead_s += trial.duration_s - trial.metrics.get("busy_s", trial.duration_s)

    def _write(self, trial: Trial) -> None:
        self._store.record(self._run.id, replace(trial, position=next(self._positions)))

    def _write_floors(self, floors: Sequence[NoiseFloor]) -> None:
        with contextlib.suppress(UnwritableError):  # they follow from the twins' samples, which are spooled
            self._store.record_floors(self._run.id, floors)


def _check_unedited() -> None:
    """Raise an InfrastructureError if a file that decides what is measured was edited since it was hashed."""
    if edited := changed_since_read():
        raise InfrastructureError(
            f"{edited} was edited while it was measured: what is recorded is of the code as it was, and what was "
            "under way is not recorded: run the same command again"
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
        measure=asked(sweep.measure),
        goals=sweep.goals,
    )
