"""An estimate of the duration of a run, from what similar trials have taken on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.plan.protocol import MOST_TOGETHER, Pending, blocks
from bench.sweep.measure import Measure
from results.records import Cell, TrialKind

if TYPE_CHECKING:
    import pandas as pd

# The axes in which similar cells agree, the most similar first: the mean of such cells is a cell's estimate.
_SIMILARITIES = (
    ("device", "problem", "backend", "gradient", "solver"),
    ("device", "problem", "backend", "gradient"),
    ("device", "problem"),
    ("device", "backend", "gradient"),
    (),
)
_Means = Mapping[tuple[str, ...], float]  # by the values of the axes


@dataclass(frozen=True)
class Costs:
    """Seconds per unit (an iteration of training, a round of timing, else a trial), and the spread of paired ratios."""

    measured: pd.DataFrame | None = None  # `results.read.costs` with unit_s; None: nothing was measured
    spread: float = 0.0  # half-width of a twin's interval times the square root of its pairs; median over blocks
    _known: dict[tuple[str, tuple[str, ...]], _Means] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, taken: pd.DataFrame, floors: pd.DataFrame) -> Costs:
        """The costs, from the frames of `results.read.costs` and `Store.noise_floors`."""
        import numpy as np

        units = taken["iterations"].where(taken["kind"] == "training", 1)
        units = taken["rounds"].clip(lower=1).where(taken["kind"] == "timing", units)
        with_unit = taken.assign(unit_s=taken["spent_s"] / taken["trials"] / units)
        spreads = np.log(floors["high"] / floors["low"]) / 2 * np.sqrt(floors["pairs"])
        return cls(with_unit, float(spreads.median()) if len(spreads) else 0.0)

    def processes(self, measure: Measure) -> float:
        """The processes until a cell's interval, which narrows as the root of its pairs, is as narrow as asked."""
        enough = (self.spread / measure.precision) ** 2 / measure.rounds
        return min(max(enough, measure.processes), measure.max_processes)

    def unit_s(self, cell: Cell, kind: TrialKind) -> float:
        """The seconds of a unit of the most similar measured cells; NaN if no trial of this kind was measured."""
        for axes in _SIMILARITIES:
            if (values := tuple(getattr(cell, axis) for axis in axes)) in (means := self._means(kind, axes)):
                return means[values]
        return float("nan")

    def _means(self, kind: TrialKind, axes: tuple[str, ...]) -> _Means:
        """The mean seconds of a unit, by the values of the axes."""
        if (kind, axes) not in self._known:
            of_kind = None if self.measured is None else self.measured[self.measured["kind"] == kind]
            self._known[kind, axes] = {} if of_kind is None else _means(of_kind, axes)
        return self._known[kind, axes]


def _means(taken: pd.DataFrame, axes: Sequence[str]) -> _Means:
    import pandas as pd

    values = zip(*(taken[axis] for axis in axes), strict=True) if axes else [()] * len(taken)
    by_values = taken["unit_s"].groupby(pd.Index(values, tupleize_cols=False))
    return dict(by_values.mean())


def estimated_s(due: Sequence[Pending], measure: Measure, costs: Costs) -> float:
    """The estimated seconds to measure the due trials; NaN if nothing similar to one of them was measured."""
    return sum(_alone(trial, costs) for trial in due if trial.kind != "timing") + sum(
        _timing([trial.cell for trial in block if trial.kind == "timing"], measure, costs) for block in blocks(due)
    )


def _alone(trial: Pending, costs: Costs) -> float:
    iterations = trial.cell.iterations if trial.kind == "training" else 1
    return costs.unit_s(trial.cell, trial.kind) * iterations


def _timing(cells: Sequence[Cell], measure: Measure, costs: Costs) -> float:
    """The seconds to time a block's cells, with the control and its twin in each group, which takes max_s at most."""
    rounds = measure.rounds * costs.processes(measure)
    of_cells = [costs.unit_s(cell, "timing") * rounds for cell in cells]
    if not of_cells:
        return 0.0
    n_groups = -(-len(cells) // MOST_TOGETHER)
    twins = 2 * n_groups * min(of_cells)  # the cheapest cell is the control
    return min(sum(of_cells) + twins, n_groups * measure.max_s)
