"""Comparisons of gradient modes: pairs of cells that differ only in the mode; one mode is common to all pairs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from reports.measured import MeasuredCell
from reports.views.findings.comparison import Comparison, Pair, Times
from reports.views.findings.configuration import grouped
from reports.views.findings.configuration import mode as mode_of
from reports.views.findings.library import NO_WINNER
from reports.views.findings.spread import Spread
from reports.views.parts.section import Finding
from results import format as text

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


def time_finding(subject: str, rows: Sequence[ModeRow]) -> Finding | None:
    """The finding on the mode that takes the least time, for each backend; None if nothing can be compared."""
    timed = [row for row in rows if row.time]
    return _finding(subject, timed, lambda some: Spread.timed([row.time for row in some if row.time]))


def mode_finding(subject: str, rows: Sequence[ModeRow], measure: Callable[[ModeRow], float]) -> Finding | None:
    """The finding on the mode with the least of a count, for each backend; None if nothing can be compared."""
    known = [row for row in rows if math.isfinite(measure(row))]
    return _finding(subject, known, lambda some: Spread.counted([measure(row) for row in some]))


def _finding(subject: str, rows: Sequence[ModeRow], spread: Callable[[Sequence[ModeRow]], Spread]) -> Finding | None:
    if not rows:
        return None
    spreads: dict[str, dict[str, Spread]] = {}
    for (backend, mode), some in _grouped(rows).items():
        spreads.setdefault(backend, {})[mode] = spread(some)
    common = rows[0].compared_with.cell.gradient
    winners = {backend: _least(of_modes, common) for backend, of_modes in spreads.items()}
    modes = dict.fromkeys(mode for of_modes in spreads.values() for mode in of_modes)
    evidence = [_evidence(mode, common, spreads) for mode in modes]
    return Finding(subject, _agreed(winners), f"{'; '.join(evidence)}.")


def _grouped(rows: Sequence[ModeRow]) -> dict[tuple[str, str], list[ModeRow]]:
    groups: dict[tuple[str, str], list[ModeRow]] = {}
    for row in rows:
        groups.setdefault((row.measured.cell.backend, row.mode), []).append(row)
    return groups


def _evidence(mode: str, common: str, spreads: Mapping[str, Mapping[str, Spread]]) -> str:
    on = [f"{of_modes[mode]} on {backend}" for backend, of_modes in spreads.items() if mode in of_modes]
    return f"{mode} over {common}: {text.listed(on)}"


def _least(spreads: Mapping[str, Spread], common: str) -> str:
    mode = min(spreads, key=lambda each: spreads[each].median)
    if spreads[mode].equal:
        return f"{common} or {mode}"
    if not spreads[mode].clear:
        return NO_WINNER
    return mode if spreads[mode].median < 1 else common


def _agreed(winners: Mapping[str, str]) -> str:
    if len(set(winners.values())) == 1:
        return next(iter(winners.values()))
    return text.listed([f"{mode} on {backend}" for backend, mode in winners.items()])
