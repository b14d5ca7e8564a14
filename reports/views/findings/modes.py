"""Comparisons of gradient modes: pairs of cells that differ only in the mode; one mode is common to all pairs."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from reports.measured import MeasuredCell
from reports.views.findings.comparison import Comparison, Pair, Times
from reports.views.findings.configuration import grouped
from reports.views.findings.configuration import mode as mode_of

COMPARED_WITH = "backprop"  # if it was measured
CLOCK = "gradient_s"


@dataclass(frozen=True)
class ModeRow:
    """A cell and the cell that it is compared with, which differs from it only in the gradient mode."""

    measured: MeasuredCell
    compared_with: MeasuredCell
    time: Comparison | None  # of a solve with its gradient

    @property
    def mode(self) -> str:
        """The mode that is compared."""
        return mode_of(self.measured.cell)

    def quotient(self, name: str) -> float:
        """The ratio of the metric to that of the cell compared with; NaN if either is missing or not positive."""
        own, other = self.measured.value(name), self.compared_with.value(name)
        positive = math.isfinite(own) and math.isfinite(other) and own > 0 and other > 0
        return own / other if positive else math.nan


def compared_mode(cells: Sequence[MeasuredCell]) -> str:
    """The mode that the other modes are compared with."""
    modes = sorted({each.cell.gradient for each in cells} - {"none"})
    return COMPARED_WITH if COMPARED_WITH in modes else next(iter(modes), COMPARED_WITH)


def mode_pairs(cells: Sequence[MeasuredCell]) -> list[Pair]:
    """The pairs of each cell and the cell of the common mode, if that was measured too."""
    common, pairs = compared_mode(cells), []
    for alike in grouped(cells, _apart_from_mode).values():
        plain = [each for each in alike if each.cell.gradient == common]
        base = next((each for each in plain if each.cell == each.cell.without_options("gradient")), None)
        if base is not None:
            pairs += [(each, base) for each in alike if each is not base]
    return pairs


def _apart_from_mode(measured: MeasuredCell) -> tuple[Any, ...]:
    """The cell's fields without its gradient mode and the options of the mode."""
    return astuple(replace(measured.cell.without_options("gradient"), gradient=""))


def mode_rows(cells: Sequence[MeasuredCell], times: Times) -> list[ModeRow]:
    """The rows of the pairs, with the comparison of their times if there is one."""
    return [ModeRow(each, base, times.get((each.key, base.key))) for each, base in mode_pairs(cells)]
