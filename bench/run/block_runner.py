"""The measurement of one block: the due trials of cells that are compared with each other."""

import time
from collections.abc import Callable, Iterator, Sequence

from bench.interrupt import deferred
from bench.machine.cores import chosen
from bench.machine.limits import available, together
from bench.plan.protocol import MOST_TOGETHER, Pending, groups
from bench.run.measured_so_far import MeasuredSoFar
from bench.run.run_trial import run_trial
from bench.run.timing import Group, waves
from bench.sweep.measure import Measure, asked
from bench.worker.task import Task
from results.records import Cell, NoiseFloor, Trial, TrialKind, TrueValues

_ROOM = 0.5  # share of the free memory that the workers of a group may hold
_UNKNOWN_BYTES = 0.5e9  # of a worker whose memory was not measured


class BlockRunner:
    """One execution of a block. Each trial is handed to `record` as soon as it has ended."""

    def __init__(
        self,
        known: MeasuredSoFar,
        measure: Measure,
        *,
        use: tuple[str, ...],
        record: Callable[[Trial], None],
        before: Callable[[Task], None],
    ) -> None:
        """`use`: the user's files and modules, which workers load first. `before`: called before each measurement."""
        self._known = known
        self._measure = measure
        self._asked_for = asked(measure)
        self._use = use
        self._hand_to_record = record
        self._before = before
        self._under_way: dict[tuple[str, TrialKind, int], Task] = {}
        self._ended: set[str] = set()  # cells that are timed no further
        self._failed: set[tuple[str, TrialKind]] = set()

    def measure(self, due: Sequence[Pending]) -> list[NoiseFloor]:
        """Measure the due trials; the controls' noise floors. Ctrl-C leaves a row for each trial that it cuts short."""
        try:
            for pending in due:
                if pending.kind != "timing" and (pending.cell.key, "counts") not in self._failed:
                    self._measure_alone(pending)
            return list(self._timed([pending.cell for pending in due if pending.kind == "timing"]))
        except KeyboardInterrupt:
            pass  # while it is being handled, it holds the transaction that it was raised in
        with deferred():
            for task in self._under_way.values():
                self._hand_to_record(self._known.with_source(_interrupted(task)))
        raise KeyboardInterrupt

    def _measure_alone(self, pending: Pending) -> None:
        true_values = self._known.true_values(pending.cell.problem) if pending.kind == "accuracy" else ()
        task = self._task(pending.cell, pending.kind, true_values=true_values)
        self._before(task)
        trial, computed = run_trial(task)
        self._record(trial)
        self._known.keep(computed)

    def _timed(self, cells: Sequence[Cell]) -> Iterator[NoiseFloor]:
        """Time the cells, group by group, beside the same control; beside another one only if that one has failed."""
        counted = self._known.by_work()
        samples, process = self._known.samples(self._asked_for), self._known.recorded.next_process
        controls: dict[Cell, None] = {}
        candidates = self._known.control_candidates()
        while waiting := [cell for cell in counted if cell in cells and cell.key not in self._ended]:
            control = next((cell for cell in candidates if not self._unfit(cell)), None)
            if control is None:
                break
            controls[control] = None
            group = Group(
                cells=groups(waiting, self._most_at_once(waiting))[0],
                control=control,
                errors=self._known.errors(),
                measure=self._measure,
                first_process=process,
                samples=samples,
            )
            for wave in waves(group, self._task, self._before):
                process += 1
                for trial in wave:
                    self._record(trial)
        for control in controls:
            for name, ratio in samples.floors(control).items():
                yield NoiseFloor(control.key, name, ratio.value, ratio.low, ratio.high, ratio.pairs)

    def _record(self, trial: Trial) -> None:
        with deferred():  # a trial written and still under way would be written again, as interrupted
            self._hand_to_record(self._known.with_source(trial))
            self._known.add(trial)
            self._under_way.pop((trial.cell_key, trial.kind, trial.process_index), None)
        if trial.status != "ok":
            self._failed.add((trial.cell_key, trial.kind))
        if trial.kind == "timing" and (trial.status != "ok" or "unstable" in trial.metrics):
            self._ended.add(trial.cell_key)

    def _unfit(self, cell: Cell) -> bool:
        """Whether the cell has failed as a control."""
        if self._known.recorded.failed(cell, "timing"):
            return True
        return not self._failed.isdisjoint([(cell.key, "timing"), (cell.key, "twin")])

    def _most_at_once(self, cells: Sequence[Cell]) -> int:
        """The number of cells for which there is memory at once, beside a control and its twin."""
        peaks = [self._known.peak_rss_bytes(cell) or _UNKNOWN_BYTES for cell in cells]
        return max(1, min(MOST_TOGETHER, together([max(peaks)] * 2 + peaks, _ROOM * available()) - 2))

    def _task(
        self, cell: Cell, kind: TrialKind, process_index: int = 0, true_values: tuple[TrueValues, ...] = ()
    ) -> Task:
        """A new task, which counts as under way until its trial is recorded."""
        on_cuda = cell.device.startswith("cuda")
        task = Task(
            cell=cell,
            kind=kind,
            process_index=process_index,
            timeout_s=self._measure.timeout_s,
            # What CUDA maps into the process is not what it uses.
            memory_bytes=None if on_cuda else int(self._asked_for["memory_bytes"]),
            cores=chosen(cell.threads),
            use=self._use,
            true_values=true_values,
        )
        self._under_way[cell.key, kind, process_index] = task
        return task


def _interrupted(task: Task) -> Trial:
    return Trial(
        cell_key=task.cell.key,
        kind=task.kind,
        process_index=task.process_index,
        status="interrupted",
        reason="the run was interrupted: run the sweep again",
        started_at=time.time(),
    )
