"""How long a run will take, by what trials alike have taken on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.plan.protocol import TOGETHER, Pending, blocks
from bench.sweep.measure import Measure
from results.records import Cell, TrialKind

if TYPE_CHECKING:
    import pandas as pd

# The cells that tell what one takes: of the first of these likenesses that any of them shares with it.
_LIKENESSES = (
    ("device", "problem", "backend", "gradient", "solver"),
    ("device", "problem", "backend", "gradient"),
    ("device", "problem"),
    ("device", "backend", "gradient"),
    (),
)
_Means = Mapping[tuple[str, ...], float]  # by what is alike


@dataclass(frozen=True)
class Costs:
    """Seconds a unit (an iteration of training, a round of timing, else a trial), and how far paired ratios spread."""

    taken: pd.DataFrame | None = None  # of `results.read.costs`, with the seconds of a unit; None: nothing was measured
    spread: float = 0.0  # half-width of a twin's interval times the root of its pairs, the median over blocks
    _known: dict[tuple[str, tuple[str, ...]], _Means] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, taken: pd.DataFrame, floors: pd.DataFrame) -> Costs:
        """From what `results.read.costs` and `Store.noise_floors` tell."""
        import numpy as np

        units = taken["iterations"].where(taken["kind"] == "training", 1)
        units = taken["rounds"].clip(lower=1).where(taken["kind"] == "timing", units)
        each = taken.assign(unit_s=taken["spent_s"] / taken["trials"] / units)
        spreads = np.log(floors["high"] / floors["low"]) / 2 * np.sqrt(floors["pairs"])
        return cls(each, float(spreads.median()) if len(spreads) else 0.0)

    def processes(self, measure: Measure) -> float:
        """How many a cell takes until its interval, which narrows as the root of its pairs, is as asked."""
        enough = (self.spread / measure.precision) ** 2 / measure.rounds
        return min(max(enough, measure.processes), measure.max_processes)

    def unit_s(self, cell: Cell, kind: TrialKind) -> float:
        """By those most alike; NaN if no trial of this kind was measured."""
        for axes in _LIKENESSES:
            if (alike := tuple(getattr(cell, axis) for axis in axes)) in (means := self._means(kind, axes)):
                return means[alike]
        return float("nan")

    def _means(self, kind: TrialKind, axes: tuple[str, ...]) -> _Means:
        """The mean seconds of a unit, by what is alike."""
        if (kind, axes) not in self._known:
            of_kind = None if self.taken is None else self.taken[self.taken["kind"] == kind]
            self._known[kind, axes] = {} if of_kind is None else _means(of_kind, axes)
        return self._known[kind, axes]


def _means(taken: pd.DataFrame, axes: Sequence[str]) -> _Means:
    import pandas as pd

    alike = zip(*(taken[axis] for axis in axes), strict=True) if axes else [()] * len(taken)
    by_likeness = taken["unit_s"].groupby(pd.Index(alike, tupleize_cols=False))
    return dict(by_likeness.mean())


def estimated_s(due: Sequence[Pending], measure: Measure, costs: Costs) -> float:
    """Of measuring what is due; NaN where nothing tells what some of it takes."""
    return sum(_alone(one, costs) for one in due if one.kind != "timing") + sum(
        _timing([one.cell for one in block if one.kind == "timing"], measure, costs) for block in blocks(due)
    )


def _alone(one: Pending, costs: Costs) -> float:
    iterations = one.cell.iterations if one.kind == "training" else 1
    return costs.unit_s(one.cell, one.kind) * iterations


def _timing(cells: Sequence[Cell], measure: Measure, costs: Costs) -> float:
    """Of a block's cells, with a reference and its twin for each group, which takes max_s at most."""
    rounds = measure.rounds * costs.processes(measure)
    of_cells = [costs.unit_s(cell, "timing") * rounds for cell in cells]
    if not of_cells:
        return 0.0
    n_groups = -(-len(cells) // TOGETHER)
    twins = 2 * n_groups * min(of_cells)  # the cheapest is the reference
    return min(sum(of_cells) + twins, n_groups * measure.max_s)
