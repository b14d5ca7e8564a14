"""The measurement of one block: the due trials of cells that are compared with each other."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from bench.interrupt import deferred
from bench.machine.cores import chosen, disjoint
from bench.machine.limits import available, together
from bench.plan.protocol import MOST_SIDE_BY_SIDE, MOST_TOGETHER, SIDE_BY_SIDE, Pending, groups
from bench.run.measured_so_far import MeasuredSoFar
from bench.run.run_trial import run_trials
from bench.run.timing import Group, waves
from bench.sweep.measure import Measure, asked
from bench.worker.task import Task
from results.records import Cell, NoiseFloor, Trial, TrialKind, TrialStatus, TrueValues

_ROOM = 0.5  # share of the free memory that the workers of a group may hold
# A trial that fails in this way beside others is repeated alone: they may have taken the memory or the time.
_MAY_PASS_ALONE: tuple[TrialStatus, ...] = ("out_of_memory", "timeout", "crashed")
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
            for kind in (*SIDE_BY_SIDE, "training"):
                self._measure_untimed(kind, [pending.cell for pending in due if pending.kind == kind])
            return list(self._timed([pending.cell for pending in due if pending.kind == "timing"]))
        except KeyboardInterrupt:
            pass  # while it is being handled, it holds the transaction that it was raised in
        with deferred():
            for task in self._under_way.values():
                self._hand_to_record(self._known.with_source(_interrupted(task)))
        raise KeyboardInterrupt

    def _measure_untimed(self, kind: TrialKind, cells: Sequence[Cell]) -> None:
        """Measure a kind of trial of the cells, side by side where no time is measured.

        A cell whose calls could not be counted is not measured further.
        """
        waiting = deque(cell for cell in cells if (cell.key, "counts") not in self._failed)
        while waiting:
            cores = self._cores_side_by_side(kind, waiting[0])[: len(waiting)]
            tasks = [self._task(waiting.popleft(), kind, cores=own, share=len(cores)) for own in cores]
            for task in self._run(tasks):
                self._run([self._task(task.cell, kind)])

    def _run(self, tasks: Sequence[Task]) -> list[Task]:
        """Run the trials side by side and record them; those that may have failed because of their company are left."""
        left = []
        with closing(run_trials(tasks, self._before)) as results:
            for result in results:
                if len(tasks) > 1 and result.trial.status in _MAY_PASS_ALONE:
                    left.append(result.task)
                else:
                    self._record(self._known.with_truth(result.trial, result.true_values))
        return left

    def _cores_side_by_side(self, kind: TrialKind, cell: Cell) -> list[tuple[int, ...]]:
        """The cores of each of the trials of this kind that may run at once: of one, where time is measured.

        The first trial of accuracy is alone too: it computes the true values, which the others are given.
        """
        if kind not in SIDE_BY_SIDE or cell.device != "cpu" or (kind == "accuracy" and not self._true_values(cell)):
            return [chosen(cell.threads)]
        return disjoint(cell.threads, most=together([_UNKNOWN_BYTES] * MOST_SIDE_BY_SIDE, _ROOM * available()))

    def _true_values(self, cell: Cell) -> tuple[TrueValues, ...]:
        return self._known.true_values(cell.problem)

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
        self,
        cell: Cell,
        kind: TrialKind,
        process_index: int = 0,
        *,
        cores: tuple[int, ...] | None = None,
        share: int = 1,
    ) -> Task:
        """A new task, which counts as under way until its trial is recorded.

        cores: the best ones by default. share: the number of tasks that share the memory of one.
        """
        on_cuda = cell.device.startswith("cuda")
        task = Task(
            cell=cell,
            kind=kind,
            process_index=process_index,
            timeout_s=self._measure.timeout_s,
            # What CUDA maps into the process is not what it uses.
            memory_bytes=None if on_cuda else int(self._asked_for["memory_bytes"]) // share,
            cores=chosen(cell.threads) if cores is None else cores,
            use=self._use,
            true_values=self._true_values(cell) if kind == "accuracy" else (),
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
