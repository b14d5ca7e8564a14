"""The timing of a group of cells: fresh processes, wave by wave, until each cell's ratio to the control is precise.

A wave is one process for each cell, timed in interleaved rounds. The group's control takes part in every wave, with its
twin: the same cell in another process, as if it were another cell. A cell leaves when the 95 % interval of its ratio to
the control is narrow enough, when it is far slower than a cell that is no less exact, when it fails, or when the
granted processes or time are used up.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pandas as pd

from bench.run.rounds import timed_in_rounds
from bench.run.stop_rule import StopRule, Timed
from bench.sweep.measure import Measure
from bench.worker.task import Task
from results.records import Cell, Trial, TrialKind
from results.statistics.ratio import Ratio, median, paired_ratio

Ask = Callable[[Cell, TrialKind, int], Task]  # the task of timing a cell in the process of this index
_Place = tuple[str, int, int]  # of a sample: run (empty for the current one), process, round; paired samples share it


class SampleTable:
    """The samples of the cells of a block: those of earlier runs that count, and those of this run."""

    def __init__(self, processes: Mapping[str, int] | None = None) -> None:
        """`processes`: for each cell key, how many processes have timed it in all the rounds that are asked for."""
        self._processes = Counter(processes or {})
        self._values: dict[tuple[str, TrialKind, str], dict[_Place, float]] = defaultdict(dict)

    def put(self, cell_key: str, kind: TrialKind, name: str, place: _Place, value: float) -> None:
        """Add one sample, in seconds."""
        self._values[cell_key, kind, name][place] = value

    def add(self, trial: Trial) -> None:
        """Add the samples of one process of this run."""
        for name, samples in trial.samples.items():
            for sample in samples:
                self.put(trial.cell_key, trial.kind, name, ("", trial.process_index, sample.round_index), sample.value)
        self._processes[trial.cell_key] += trial.kind == "timing" and trial.status == "ok"

    def processes(self, cell: Cell) -> int:
        """The number of processes that have timed the cell."""
        return self._processes[cell.key]

    def median(self, cell: Cell) -> float:
        """The median seconds of a call, of the samples that the cell is compared by; NaN without samples."""
        return median(list(self._values[cell.key, "timing", clock(cell)].values()))

    def ratio(self, cell: Cell, control: Cell) -> Ratio | None:
        """The cell's paired ratio to the control, or the twin's if it is the control; None without a pair."""
        return self._paired(cell, clock(cell), control, clock(control))

    def floors(self, control: Cell) -> dict[str, Ratio]:
        """The twin's ratio to its control, by the name of the samples."""
        names = [name for key, kind, name in list(self._values) if (key, kind) == (control.key, "twin")]
        ratios = {name: self._paired(control, name, control, name) for name in names}
        return {name: ratio for name, ratio in ratios.items() if ratio is not None}

    def _paired(self, cell: Cell, name: str, control: Cell, its_name: str) -> Ratio | None:
        kind: TrialKind = "twin" if cell == control else "timing"
        numerator = _series(self._values[cell.key, kind, name])
        return paired_ratio(numerator, _series(self._values[control.key, "timing", its_name]))


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells that are timed in the same rounds, and what decides when each has been timed enough."""

    cells: Sequence[Cell]
    control: Cell  # one of them, or of another group of the block
    errors: Mapping[Cell, float]  # of those cells of the block whose error is known
    measure: Measure
    first_process: int  # index of the first wave's processes
    samples: SampleTable


def clock(cell: Cell) -> str:
    """The name of the samples that a cell is compared by."""
    return "forward_s" if cell.gradient == "none" else "gradient_s"


def waves(group: Group, ask: Ask, before: Callable[[Task], None]) -> Iterator[list[Trial]]:
    """The trials of each wave; the last trial of a cell that has not failed says why it is the last.

    The waves end if the control or its twin fails, because nothing can be compared any more.
    """
    measure, control = group.measure, group.control
    until = time.monotonic() + measure.max_s
    waiting = [cell for cell in group.cells if cell != control]
    for wave in count():
        index = group.first_process + wave
        tasks = [ask(control, "timing", index), ask(control, "twin", index)]
        tasks += [ask(cell, "timing", index) for cell in waiting]
        trials = timed_in_rounds(tasks, measure.rounds, before, sampling_s=measure.sampling_s, until=until)
        for trial in trials:
            group.samples.add(trial)
        late = time.monotonic() > until
        failed = {trial.cell_key for trial in trials if trial.status != "ok"}
        decided = {cell.key: stop_rule(group, cell, late=late) for cell in waiting}
        waiting = [cell for cell in waiting if not decided[cell.key].ends and cell.key not in failed]
        if not waiting:
            decided[control.key] = stop_rule(group, control, late=late)
        yield [_with_decision(trial, decided) for trial in trials]
        if control.key in failed or (control.key in decided and decided[control.key].ends):
            return


def stop_rule(group: Group, cell: Cell, *, late: bool) -> StopRule:
    """The stopping rule's decision for a cell, from the samples so far."""
    processes = group.samples.processes(cell)
    ratio = group.samples.ratio(cell, group.control) if processes >= group.measure.processes else None
    return StopRule.of(
        Timed(
            processes=processes,
            half_width=math.nan if ratio is None else ratio.half_width,
            slower=_slower(group, cell),
            late=late,
            is_control=cell == group.control,
        ),
        group.measure,
    )


def _slower(group: Group, cell: Cell) -> float:
    """The cell's time relative to the fastest cell that is compared by the same samples and has no larger error."""
    error = group.errors.get(cell, float("nan"))
    rivals = [rival for rival, its_error in group.errors.items() if its_error <= error and clock(rival) == clock(cell)]
    times = pd.Series([group.samples.median(rival) for rival in rivals], dtype=float)
    return group.samples.median(cell) / float(times.min())


def _with_decision(trial: Trial, decided: Mapping[str, StopRule]) -> Trial:
    """The trial with the metrics of the decision on its cell, if it is the cell's last one."""
    if trial.kind != "timing" or trial.status != "ok" or trial.cell_key not in decided:
        return trial
    return replace(trial, metrics={**trial.metrics, **decided[trial.cell_key].metrics})


def _series(values: Mapping[_Place, float]) -> pd.Series:
    """The samples as a series, indexed by run, process and round."""
    index = pd.MultiIndex.from_tuples(list(values), names=["run_id", "process_index", "round_index"])
    return pd.Series(list(values.values()), index, dtype=float)
