"""The race of a setting's choices to an error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports import format as text
from reports.measured import MeasuredCell, measured_of
from reports.views.choice import Choice, grouped, settings, step
from reports.views.comparison import Pair, Times, compare, undecided
from reports.views.library import library_finding, library_pairs
from reports.views.section import Finding

TARGET = 1e-6  # the error that a race is run to, if two choices reach it
CLOCK = "forward_s"


@dataclass(frozen=True)
class Race:
    """Each choice's quickest cell within the error, the quickest first."""

    error: float
    cells: tuple[MeasuredCell, ...]

    @classmethod
    def of(cls, cells: Sequence[MeasuredCell]) -> "Race | None":
        """None where nothing was timed."""
        timed = measured_of(cells, "error", CLOCK)
        error = target(timed)
        return cls(error, tuple(race(timed, error))) if error else None

    @property
    def pairs(self) -> list[Pair]:
        """The second over the first."""
        return [(self.cells[1], self.cells[0])] if len(self.cells) > 1 else []


def race_findings(cells: Sequence[MeasuredCell]) -> tuple[Finding, ...]:
    """Who is first to the error, setting by setting, and which library is faster: one family of comparisons."""
    races = {title: race for title, group in settings(cells).items() if (race := Race.of(group))}
    decisive = [pair for race in races.values() for pair in race.pairs]
    times = compare([*decisive, *library_pairs(cells, CLOCK)], CLOCK)
    first = [race_finding(title, race, times) for title, race in races.items()]
    library = library_finding(cells, CLOCK, times)
    return (*first, library) if library else tuple(first)


def race_finding(subject: str, race: Race, times: Times) -> Finding:
    """Who takes the least time to the target."""
    first, *others = race.cells
    evidence = (
        f"The least time to an error of {text.tolerance(race.error)}: {text.seconds(first.value(CLOCK))} "
        f"({step(first.cell)}, {text.count(first.value('nfe_forward'))} calls)."
    )
    if not others:
        return Finding(subject, str(Choice.of(first)), evidence)
    second = others[0]
    compared = times.get((second.key, first.key))
    if compared is None:
        seconds = text.seconds(second.value(CLOCK))
        return Finding(subject, str(Choice.of(first)), f"{evidence} Next: {Choice.of(second)}, {seconds}.")
    evidence += f" Next: {Choice.of(second)}, {text.ratio(compared.ratio)} the time"
    if compared.differs:
        return Finding(subject, str(Choice.of(first)), f"{evidence}.")
    return Finding(subject, f"{Choice.of(first)} or {Choice.of(second)}", f"{evidence}: {undecided([compared])}.")


def target(cells: Sequence[MeasuredCell]) -> float | None:
    """The error to race to: TARGET, or the smallest power of ten that two choices reach (one, if there is one)."""
    best = sorted(min(each.value("error") for each in group) for group in grouped(cells, Choice.of).values())
    if not best:
        return None
    reached = best[min(1, len(best) - 1)]
    if reached <= TARGET:
        return TARGET
    decade = 10.0 ** math.ceil(math.log10(reached))
    return decade if reached <= decade else 10 * decade  # the logarithm may have been rounded down


def race(cells: Sequence[MeasuredCell], error: float) -> list[MeasuredCell]:
    """Each choice's quickest cell within this error, the quickest first."""
    within = quickest_first([each for each in cells if each.value("error") <= error])
    return [group[0] for group in grouped(within, Choice.of).values()]


def quickest_first(cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
    """By the time over the reference's, where all have it: seconds of different rounds were not under equal load."""
    relative = {each.key: each.relative(CLOCK) for each in cells}
    if all(map(math.isfinite, relative.values())):
        return sorted(cells, key=lambda each: relative[each.key])
    return sorted(cells, key=lambda each: each.value(CLOCK))
