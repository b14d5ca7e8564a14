"""The time that each configuration of a setting takes to reach an error, and which takes the least."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.comparison import Pair, ratio_of
from reports.views.findings.configuration import Configuration, grouped, settings

TARGET = 1e-6  # the error to reach, if the study states no goal and two configurations reach it


@dataclass(frozen=True)
class Criterion:
    """The metric of the error to reach, and the samples of the time that counts."""

    error: Literal["error", "gradient_error"]
    clock: str
    in_words: str  # the error


SOLVES = Criterion("error", "forward_s", "an error")
GRADIENTS = Criterion("gradient_error", "gradient_s", "a gradient error")


@dataclass(frozen=True)
class TimeToError:
    """The quickest cell of each configuration within the error, the quickest first."""

    error: float
    cells: tuple[MeasuredCell, ...]
    criterion: Criterion = SOLVES

    @classmethod
    def of(cls, cells: Sequence[MeasuredCell], criterion: Criterion = SOLVES) -> Self | None:
        """The times to error of these cells; None if none was timed, or none reaches the study's goal."""
        timed = measured_of(cells, criterion.error, criterion.clock)
        error = target(timed, criterion)
        quickest = tuple(quickest_of_each(timed, error, criterion)) if error else ()
        return cls(error, quickest, criterion) if error and quickest else None

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of the other cells and the quickest."""
        return [(each, self.cells[0]) for each in self.cells[1:]]


def times_to_error(cells: Sequence[MeasuredCell], criterion: Criterion) -> dict[str, TimeToError]:
    """The times to error by setting, without settings in which none is known."""
    return {title: fastest for title, group in settings(cells).items() if (fastest := TimeToError.of(group, criterion))}


def stated(cells: Sequence[MeasuredCell], criterion: Criterion) -> float | None:
    """The error that the study wants to reach; None if the study states none."""
    return next((getattr(each.goal, criterion.error) for each in cells), None)


def target(cells: Sequence[MeasuredCell], criterion: Criterion = SOLVES) -> float | None:
    """The error to reach: the study's goal; else TARGET, or the smallest power of ten that two configurations reach.

    With only one configuration, the power of ten that this one reaches.
    """
    if (goal := stated(cells, criterion)) is not None:
        return goal
    best = sorted(
        min(each.value(criterion.error) for each in group) for group in grouped(cells, Configuration.of).values()
    )
    if not best:
        return None
    reached = best[min(1, len(best) - 1)]
    if reached <= TARGET:
        return TARGET
    decade = 10.0 ** math.ceil(math.log10(reached))
    return decade if reached <= decade else 10 * decade  # the logarithm may have been rounded down


def quickest_of_each(cells: Sequence[MeasuredCell], error: float, criterion: Criterion = SOLVES) -> list[MeasuredCell]:
    """The quickest cell of each configuration within this error, the quickest first."""
    within = quickest_first([each for each in cells if each.value(criterion.error) <= error], criterion.clock)
    return [group[0] for group in grouped(within, Configuration.of).values()]


def quickest_first(cells: Sequence[MeasuredCell], clock: str = SOLVES.clock) -> list[MeasuredCell]:
    """The cells by their ratio to the control if all have one; else to the cell of the fewest seconds.

    Seconds depend on the round's load: they decide only between cells that cannot be compared.
    """
    relative = {each.key: each.relative(clock) for each in cells}
    if not all(map(math.isfinite, relative.values())):
        least = min(cells, key=lambda each: each.value(clock))
        relative = {each.key: _over(each, least, clock) for each in cells}
    return sorted(cells, key=lambda each: relative[each.key])


def _over(each: MeasuredCell, other: MeasuredCell, clock: str) -> float:
    compared = ratio_of(each, other, clock) if each is not other else None
    return compared.value if compared else each.value(clock) / other.value(clock)
