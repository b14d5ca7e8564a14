"""The time that each configuration of a setting takes to reach an error, and which takes the least."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.comparison import Pair, Times, compare, undecided
from reports.views.findings.configuration import Configuration, grouped, settings, step
from reports.views.findings.library import library_finding, library_pairs
from reports.views.parts.section import Finding
from results import format as text

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
        """The pair of the quickest two cells: the second over the first."""
        return [(self.cells[1], self.cells[0])] if len(self.cells) > 1 else []


def time_to_error_findings(cells: Sequence[MeasuredCell]) -> tuple[Finding, ...]:
    """The findings on the quickest configuration of each setting and on libraries, as one family of comparisons."""
    by_setting, clock = times_to_error(cells, SOLVES), SOLVES.clock
    decisive = [pair for fastest in by_setting.values() for pair in fastest.pairs]
    times = compare([*decisive, *library_pairs(cells, clock)], clock)
    first = [time_to_error_finding(title, fastest, times) for title, fastest in by_setting.items()]
    library = library_finding(cells, clock, times)
    return tuple(found for found in (*first, *goals_missed(cells, SOLVES), library) if found)


def times_to_error(cells: Sequence[MeasuredCell], criterion: Criterion) -> dict[str, TimeToError]:
    """The times to error by setting, without settings in which none is known."""
    return {title: fastest for title, group in settings(cells).items() if (fastest := TimeToError.of(group, criterion))}


def goals_missed(cells: Sequence[MeasuredCell], criterion: Criterion) -> list[Finding]:
    """The findings on settings in which cells were timed and none reaches the study's goal."""
    missed = []
    for title, group in settings(cells).items():
        goal, timed = stated(group, criterion), measured_of(group, criterion.error, criterion.clock)
        if goal is not None and timed and TimeToError.of(group, criterion) is None:
            best = min(timed, key=lambda each: each.value(criterion.error))
            least, by = text.error(best.value(criterion.error)), Configuration.of(best)
            reached = f"The least is {least}, by {by} ({step(best.cell)})."
            missed.append(Finding(title, f"none reaches {criterion.in_words} of {text.tolerance(goal)}", reached))
    return missed


def time_to_error_finding(subject: str, fastest: TimeToError, times: Times) -> Finding:
    """The finding on the configuration that takes the least time to the target."""
    (first, *others), clock = fastest.cells, fastest.criterion.clock
    evidence = (
        f"The least time to {fastest.criterion.in_words} of {text.tolerance(fastest.error)}: "
        f"{text.seconds(first.value(clock))} ({step(first.cell)}, {text.count(first.value('nfe_forward'))} calls)."
    )
    if not others:
        return Finding(subject, str(Configuration.of(first)), evidence)
    best, next_best = Configuration.of(first), Configuration.of(others[0])
    compared = times.get((others[0].key, first.key))
    if compared is None:
        seconds = text.seconds(others[0].value(clock))
        return Finding(subject, str(best), f"{evidence} Next: {next_best}, {seconds}.")
    evidence += f" Next: {next_best}, {text.ratio(compared.ratio)} the time"
    if compared.differs:
        return Finding(subject, str(best), f"{evidence}.")
    return Finding(subject, f"{best} or {next_best}", f"{evidence}: {undecided([compared])}.")


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
    """The cells by their ratio to the control if all have one, else by seconds: these depend on the round's load."""
    relative = {each.key: each.relative(clock) for each in cells}
    if all(map(math.isfinite, relative.values())):
        return sorted(cells, key=lambda each: relative[each.key])
    return sorted(cells, key=lambda each: each.value(clock))
