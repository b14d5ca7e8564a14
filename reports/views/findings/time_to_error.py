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

TARGET = 1e-6  # the error that is to be reached, if two configurations reach it and the study states no goal


@dataclass(frozen=True)
class Contest:
    """The error that is to be reached, and the clock by which."""

    error: Literal["error", "gradient_error"]
    clock: str
    said: str  # the error in words


SOLVES = Contest("error", "forward_s", "an error")
GRADIENTS = Contest("gradient_error", "gradient_s", "a gradient error")


@dataclass(frozen=True)
class TimeToError:
    """The quickest cell of each choice within the error, the quickest first."""

    error: float
    cells: tuple[MeasuredCell, ...]
    contest: Contest = SOLVES

    @classmethod
    def of(cls, cells: Sequence[MeasuredCell], contest: Contest = SOLVES) -> Self | None:
        """The times to error of these cells; None if none was timed, or none reaches the study's goal."""
        timed = measured_of(cells, contest.error, contest.clock)
        error = target(timed, contest)
        runners = tuple(race(timed, error, contest)) if error else ()
        return cls(error, runners, contest) if error and runners else None

    @property
    def pairs(self) -> list[Pair]:
        """The quickest two cells, as a pair to compare: the second over the first."""
        return [(self.cells[1], self.cells[0])] if len(self.cells) > 1 else []


def time_to_error_findings(cells: Sequence[MeasuredCell]) -> tuple[Finding, ...]:
    """The findings on who reaches the error first, by setting, and on libraries, as one family of comparisons."""
    races, clock = times_to_error(cells, SOLVES), SOLVES.clock
    decisive = [pair for race in races.values() for pair in race.pairs]
    times = compare([*decisive, *library_pairs(cells, clock)], clock)
    first = [time_to_error_finding(title, race, times) for title, race in races.items()]
    library = library_finding(cells, clock, times)
    return tuple(found for found in (*first, *goals_missed(cells, SOLVES), library) if found)


def times_to_error(cells: Sequence[MeasuredCell], contest: Contest) -> dict[str, TimeToError]:
    """The times to error of the settings that have any."""
    return {title: race for title, group in settings(cells).items() if (race := TimeToError.of(group, contest))}


def goals_missed(cells: Sequence[MeasuredCell], contest: Contest) -> list[Finding]:
    """The settings in which cells were timed and none reaches the goal that the study states."""
    missed = []
    for title, group in settings(cells).items():
        goal, timed = stated(group, contest), measured_of(group, contest.error, contest.clock)
        if goal is not None and timed and TimeToError.of(group, contest) is None:
            best = min(timed, key=lambda each: each.value(contest.error))
            least, by = text.error(best.value(contest.error)), Configuration.of(best)
            reached = f"The least is {least}, by {by} ({step(best.cell)})."
            missed.append(Finding(title, f"none reaches {contest.said} of {text.tolerance(goal)}", reached))
    return missed


def time_to_error_finding(subject: str, race: TimeToError, times: Times) -> Finding:
    """The finding on the configuration that takes the least time to the target."""
    (first, *others), clock = race.cells, race.contest.clock
    evidence = (
        f"The least time to {race.contest.said} of {text.tolerance(race.error)}: {text.seconds(first.value(clock))} "
        f"({step(first.cell)}, {text.count(first.value('nfe_forward'))} calls)."
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


def stated(cells: Sequence[MeasuredCell], contest: Contest) -> float | None:
    """The error that the study wants to reach; None if the study states none."""
    return next((getattr(each.goal, contest.error) for each in cells), None)


def target(cells: Sequence[MeasuredCell], contest: Contest = SOLVES) -> float | None:
    """The error to reach: the study's goal; else TARGET, or the smallest power of ten that two choices reach.

    That of one choice, if there is one only.
    """
    if (goal := stated(cells, contest)) is not None:
        return goal
    best = sorted(
        min(each.value(contest.error) for each in group) for group in grouped(cells, Configuration.of).values()
    )
    if not best:
        return None
    reached = best[min(1, len(best) - 1)]
    if reached <= TARGET:
        return TARGET
    decade = 10.0 ** math.ceil(math.log10(reached))
    return decade if reached <= decade else 10 * decade  # the logarithm may have been rounded down


def race(cells: Sequence[MeasuredCell], error: float, contest: Contest = SOLVES) -> list[MeasuredCell]:
    """The quickest cell of each choice within this error, the quickest first."""
    within = quickest_first([each for each in cells if each.value(contest.error) <= error], contest.clock)
    return [group[0] for group in grouped(within, Configuration.of).values()]


def quickest_first(cells: Sequence[MeasuredCell], clock: str = SOLVES.clock) -> list[MeasuredCell]:
    """The cells by their ratio to the control, if all have one: seconds of different rounds were under unequal load."""
    relative = {each.key: each.relative(clock) for each in cells}
    if all(map(math.isfinite, relative.values())):
        return sorted(cells, key=lambda each: relative[each.key])
    return sorted(cells, key=lambda each: each.value(clock))
