"""An estimate of the duration of a run, from what similar trials have taken on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.plan.protocol import MOST_SIDE_BY_SIDE, MOST_TOGETHER, SIDE_BY_SIDE, Pending, blocks
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


def estimated_s(due: Sequence[Pending], measure: Measure, costs: Costs, cores: int = 1) -> float:
    """The estimated seconds to measure the due trials on so many cores; NaN if none similar to one was measured."""
    return sum(_block_s(block, measure, costs, cores) for block in blocks(due))


def _block_s(block: Sequence[Pending], measure: Measure, costs: Costs, cores: int) -> float:
    by_kind: dict[TrialKind, list[Cell]] = {}
    for trial in block:
        by_kind.setdefault(trial.kind, []).append(trial.cell)
    timing = _timing(by_kind.pop("timing", []), measure, costs)
    return timing + sum(_untimed(kind, cells, costs, cores) for kind, cells in by_kind.items())


def _untimed(kind: TrialKind, cells: Sequence[Cell], costs: Costs, cores: int) -> float:
    """The seconds of a block's trials of a kind, side by side where no time is measured."""
    seconds = [costs.unit_s(cell, kind) * (cell.iterations if kind == "training" else 1) for cell in cells]
    if kind not in SIDE_BY_SIDE or cells[0].device != "cpu":
        return sum(seconds)
    return max(sum(seconds) / max(1, min(MOST_SIDE_BY_SIDE, cores // cells[0].threads)), *seconds)


def _timing(cells: Sequence[Cell], measure: Measure, costs: Costs) -> float:
    """The seconds to time a block's cells, with the control and its twin in each group, which takes max_s at most."""
    rounds = measure.rounds * costs.processes(measure)
    of_cells = [costs.unit_s(cell, "timing") * rounds for cell in cells]
    if not of_cells:
        return 0.0
    n_groups = -(-len(cells) // MOST_TOGETHER)
    twins = 2 * n_groups * min(of_cells)  # the cheapest cell is the control
    return min(sum(of_cells) + twins, n_groups * measure.max_s)
