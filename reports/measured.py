"""Cells with their measurements."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from pandas import Series

from reports.blocks import NO_CONTROL, Block
from results.records import EXPECTED, NO_GOAL, Cell, Goal
from results.statistics.ratio import Ratio, median


@dataclass(frozen=True)
class Failure:
    """The reason why a trial has no numbers."""

    status: str
    reason: str

    @property
    def expected(self) -> bool:
        """Whether nothing went wrong: the library or the machine does not support the cell."""
        return self.status in EXPECTED


@dataclass(frozen=True)
class TrialView:
    """A trial as the page shows it: how it ended, and the time that it took."""

    status: str
    reason: str
    duration_s: float
    twin: bool = False  # a twin's trial, which is no measurement of the cell itself


@dataclass(frozen=True)
class MeasuredCell:
    """A planned cell with its trials' metrics (medians over processes), raw samples and curves."""

    key: str
    cell: Cell
    trials: tuple[TrialView, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, Series] = field(default_factory=dict)  # indexed by (run_id, process_index, round_index)
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # x (n,), y (n, d)
    block: Block = NO_CONTROL
    goal: Goal = NO_GOAL  # the goal of the study
    ratios: Mapping[str, Ratio] = field(default_factory=dict)  # of the samples to those of the block's control

    @property
    def is_control(self) -> bool:
        """Whether the cell is a control of its block."""
        return any(each.key == self.key for each in self.block.controls)

    @property
    def unstable(self) -> bool:
        """Whether timing ended before the interval of the ratio to the control was as narrow as asked."""
        return self.metrics.get("unstable", 0.0) > 0

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The failures of the trials, without repetitions, the twin's last."""
        failed = [trial for trial in self.trials if trial.status != "ok"]
        own = (Failure(trial.status, trial.reason) for trial in failed if not trial.twin)
        twin = (Failure(trial.status, f"as its own twin: {trial.reason}") for trial in failed if trial.twin)
        return tuple(dict.fromkeys((*own, *twin)))

    @property
    def status(self) -> str:
        """The cell's status: `pending` before the first trial, then `ok` or the first failure's word."""
        statuses = [trial.status for trial in self.trials if not trial.twin]
        return next((status for status in statuses if status != "ok"), "ok") if statuses else "pending"

    @property
    def measured(self) -> bool:
        """Whether the cell has any number."""
        return bool(self.metrics or self.samples)

    def value(self, name: str) -> float:
        """The metric or the median of the samples of this name; NaN if there are none."""
        if name in self.metrics:
            return self.metrics[name]
        return median(self.samples[name]) if name in self.samples else math.nan

    def relative(self, name: str) -> float:
        """The ratio of the samples to those of the block's only control, which has 1; NaN without common rounds."""
        if len(self.block.controls) != 1:
            return math.nan
        if self.is_control:
            return 1.0
        return self.ratios[name].value if name in self.ratios else math.nan


def measured_of(cells: Collection[MeasuredCell], *names: str) -> list[MeasuredCell]:
    """The cells in which each of these metrics or samples is a finite number."""
    return [cell for cell in cells if all(math.isfinite(cell.value(name)) for name in names)]
