"""Gradient modes against each other: cells that are equal but for the mode, in pairs with the baseline."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from reports import format as text
from reports.measured import MeasuredCell
from reports.statistics import Ratio
from reports.views.choice import grouped
from reports.views.comparison import NO_WINNER, Spread, ratio_of
from reports.views.section import Finding

BASELINE = "backprop"


@dataclass(frozen=True)
class ModeRow:
    """A cell beside its baseline, which differs from it only in the gradient mode."""

    measured: MeasuredCell
    baseline: MeasuredCell
    time: Ratio | None  # of the solve with its gradient

    @property
    def mode(self) -> str:
        """The mode that is compared."""
        return self.measured.cell.gradient

    @property
    def time_ratio(self) -> float:
        """The paired ratio, without its interval."""
        return self.time.value if self.time else math.nan

    def quotient(self, name: str) -> float:
        """The metric over the baseline's; NaN where either is missing or not positive."""
        own, other = self.measured.value(name), self.baseline.value(name)
        positive = math.isfinite(own) and math.isfinite(other) and own > 0 and other > 0
        return own / other if positive else math.nan


def baseline_of(cells: Sequence[MeasuredCell]) -> str:
    """The mode that the others are compared with."""
    modes = sorted({each.cell.gradient for each in cells} - {"none"})
    return BASELINE if BASELINE in modes else next(iter(modes), BASELINE)


def mode_rows(cells: Sequence[MeasuredCell]) -> list[ModeRow]:
    """Every cell of another mode whose baseline was measured too."""
    baseline, rows = baseline_of(cells), []
    for twins in grouped(cells, lambda each: astuple(replace(each.cell, gradient=""))).values():
        modes = {each.cell.gradient: each for each in twins}
        if base := modes.pop(baseline, None):
            rows += [ModeRow(each, base, ratio_of(each, base, "gradient_s")) for each in modes.values()]
    return rows


def mode_finding(subject: str, rows: Sequence[ModeRow], measure: Callable[[ModeRow], float]) -> Finding | None:
    """Which mode needs the least, backend by backend; None where nothing can be compared."""
    known = [row for row in rows if math.isfinite(measure(row))]
    if not known:
        return None
    backends = dict.fromkeys(row.measured.cell.backend for row in known)
    spreads = {
        backend: _spreads([row for row in known if row.measured.cell.backend == backend], measure)
        for backend in backends
    }
    baseline = known[0].baseline.cell.gradient
    winners = {backend: _least(of_modes, baseline) for backend, of_modes in spreads.items()}
    modes = dict.fromkeys(mode for of_modes in spreads.values() for mode in of_modes)
    evidence = [_said(mode, baseline, spreads) for mode in modes]
    return Finding(subject, _agreed(winners), f"{'; '.join(evidence)}.")


def _said(mode: str, baseline: str, spreads: Mapping[str, Mapping[str, Spread]]) -> str:
    on = [f"{of_modes[mode]} on {backend}" for backend, of_modes in spreads.items() if mode in of_modes]
    return f"{mode} over {baseline}: {text.listed(on)}"


def _least(spreads: Mapping[str, Spread], baseline: str) -> str:
    mode = min(spreads, key=lambda each: spreads[each].median)
    if not spreads[mode].clear:
        return NO_WINNER
    return mode if spreads[mode].median < 1 else baseline


def _spreads(rows: Sequence[ModeRow], measure: Callable[[ModeRow], float]) -> dict[str, Spread]:
    modes = dict.fromkeys(row.mode for row in rows)
    return {mode: Spread.of([measure(row) for row in rows if row.mode == mode]) for mode in modes}


def _agreed(winners: Mapping[str, str]) -> str:
    if len(set(winners.values())) == 1:
        return next(iter(winners.values()))
    return text.listed([f"{mode} on {backend}" for backend, mode in winners.items()])
