"""A cell with what was measured of it: the frames of the store, cell by cell."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from reports.statistics import median
from results.records import Cell
from results.store import Store
from results.where import Where

EXPECTED = ("unsupported", "unavailable")  # statuses that say what cannot be, not what went wrong


@dataclass(frozen=True)
class Failure:
    """Why a trial has no numbers."""

    status: str
    reason: str

    @property
    def expected(self) -> bool:
        """Whether nothing went wrong: the library or the machine cannot do it."""
        return self.status in EXPECTED


@dataclass(frozen=True)
class TrialView:
    """How a trial ended and how long it took."""

    status: str
    reason: str
    duration_s: float


@dataclass(frozen=True)
class MeasuredCell:
    """A planned cell with its trials' metrics (medians over processes), raw samples and curves."""

    key: str
    cell: Cell
    trials: tuple[TrialView, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, Series] = field(default_factory=dict)  # indexed by (run_id, process_index, round_index)
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # x (n,), y (n, d)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Each way in which a trial failed, once."""
        failed = (Failure(trial.status, trial.reason) for trial in self.trials if trial.status != "ok")
        return tuple(dict.fromkeys(failed))

    @property
    def status(self) -> str:
        """`pending` before the first trial, then `ok` or the first failure's word."""
        if not self.trials:
            return "pending"
        return self.failures[0].status if self.failures else "ok"

    @property
    def measured(self) -> bool:
        """Whether there is any number."""
        return bool(self.metrics or self.samples)

    def value(self, name: str) -> float:
        """The metric, or the median of the samples, of this name; NaN if there is none."""
        if name in self.metrics:
            return self.metrics[name]
        return median(self.samples[name]) if name in self.samples else math.nan


def measured_cells(store: Store, planned: DataFrame, *, fingerprint: str) -> dict[str, MeasuredCell]:
    """The planned cells by key, with the trials recorded in the environment."""
    cells = {row["cell_key"]: _cell(row) for row in planned.to_dict("records")}
    keys = list(cells)
    trials = _trials(store.trials(Where(fingerprint=fingerprint, cell_key=keys)))
    metrics = _metrics(store.metrics(Where(fingerprint=fingerprint, cell_key=keys)))
    samples = _samples(store.samples(Where(fingerprint=fingerprint, cell_key=keys)))
    curves = _curves(store.curves(Where(fingerprint=fingerprint, cell_key=keys)))
    return {
        key: MeasuredCell(key, cell, tuple(trials[key]), metrics=metrics[key], samples=samples[key], curves=curves[key])
        for key, cell in cells.items()
    }


def measured_of(cells: Collection[MeasuredCell], *names: str) -> list[MeasuredCell]:
    """The cells in which each of these metrics or samples is a finite number."""
    return [cell for cell in cells if all(math.isfinite(cell.value(name)) for name in names)]


def _cell(row: Mapping[Any, Any]) -> Cell:
    values = {each.name: row[each.name] for each in fields(Cell)}
    for name in ("rtol", "atol", "dt", "learning_rate"):
        values[name] = None if math.isnan(values[name]) else values[name]
    return Cell(**values)


def _trials(frame: DataFrame) -> Mapping[str, list[TrialView]]:
    """An interrupted trial is one that is still to come."""
    trials: defaultdict[str, list[TrialView]] = defaultdict(list)
    for row in frame[frame["status"] != "interrupted"].itertuples():
        trials[row.cell_key].append(TrialView(row.status, row.reason, row.duration_s))
    return trials


def _metrics(frame: DataFrame) -> Mapping[str, dict[str, float]]:
    metrics: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (key, name), values in frame.groupby(["cell_key", "name"])["value"]:
        metrics[key][name] = median(values)
    return metrics


def _samples(frame: DataFrame) -> Mapping[str, dict[str, Series]]:
    samples: defaultdict[str, dict[str, Series]] = defaultdict(dict)
    rounds = frame.set_index(["run_id", "process_index", "round_index"])  # only samples of one run's round are pairs
    for (key, name), values in rounds.groupby(["cell_key", "name"])["value"]:
        samples[key][name] = values
    return samples


def _curves(frame: DataFrame) -> Mapping[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The first process's curve of each name; an empty one is none."""
    curves: defaultdict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)
    for row in frame.itertuples():
        if row.y.size:
            curves[row.cell_key].setdefault(row.name, (row.x, row.y))
    return curves
