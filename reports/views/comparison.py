"""Comparisons: who is first to an error, which library is faster, by paired samples where there are pairs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from reports import format as text
from reports.measured import MeasuredCell, measured_of
from reports.statistics import Ratio, median, paired_ratio
from reports.views.choice import Choice, grouped, step
from reports.views.section import Finding

TARGET = 1e-6  # the error that a race is run to, if two choices reach it
NO_WINNER = "no clear winner"


def ratio_of(numerator: MeasuredCell, denominator: MeasuredCell, name: str) -> Ratio | None:
    """The paired ratio of the samples of this name."""
    if name not in numerator.samples or name not in denominator.samples:
        return None
    return paired_ratio(numerator.samples[name], denominator.samples[name])


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
    within = [each for each in cells if each.value("error") <= error]
    quickest = [min(group, key=lambda each: each.value("forward_s")) for group in grouped(within, Choice.of).values()]
    return sorted(quickest, key=lambda each: each.value("forward_s"))


def race_finding(subject: str, cells: Sequence[MeasuredCell]) -> Finding | None:
    """Who takes the least time to the target; None where nothing was timed."""
    timed = measured_of(cells, "error", "forward_s")
    error = target(timed)
    if error is None:
        return None
    first, *others = race(timed, error)
    evidence = (
        f"The least time to an error of {text.tolerance(error)}: {text.seconds(first.value('forward_s'))} "
        f"({step(first.cell)}, {text.count(first.value('nfe_forward'))} calls)."
    )
    if not others:
        return Finding(subject, str(Choice.of(first)), evidence)
    second, ratio = others[0], ratio_of(others[0], first, "forward_s")
    if ratio is None:
        seconds = text.seconds(second.value("forward_s"))
        return Finding(subject, str(Choice.of(first)), f"{evidence} Next: {Choice.of(second)}, {seconds}.")
    evidence += f" Next: {Choice.of(second)}, {text.ratio(ratio)} the time."
    if ratio.low > 1:
        return Finding(subject, str(Choice.of(first)), evidence)
    return Finding(subject, f"{Choice.of(first)} or {Choice.of(second)}", f"{evidence} Too close to call.")


@dataclass(frozen=True)
class Spread:
    """Median and range of the ratios of several comparisons."""

    median: float
    low: float
    high: float
    n: int
    clear: bool  # whether three in four lie on the same side of 1

    @classmethod
    def of(cls, ratios: Sequence[float]) -> "Spread":
        """The spread of at least one ratio."""
        below, above = sum(ratio < 1 for ratio in ratios), sum(ratio > 1 for ratio in ratios)
        clear = max(below, above) >= 0.75 * len(ratios)
        return cls(median(ratios), min(ratios), max(ratios), len(ratios), clear)

    def __str__(self) -> str:
        if self.n == 1:
            return text.times(self.median)
        span = f"{text.times(self.low)} to {text.times(self.high)}"
        return f"{text.times(self.median)} (median of {self.n} comparisons, {span})"


def library_finding(cells: Sequence[MeasuredCell], name: str) -> Finding | None:
    """Which backend is faster over the cells that are equal but for it; None with fewer than two backends."""
    twins = grouped(measured_of(cells, name), lambda each: astuple(replace(each.cell, backend="")))
    times = [{each.cell.backend: each.value(name) for each in group} for group in twins.values()]
    backends = list(dict.fromkeys(backend for group in times for backend in group))
    for backend in backends:
        spreads = {other: spread for other in backends if (spread := _spread(times, backend, other))}
        if spreads and all(spread.median >= 1 for spread in spreads.values()):
            answer = backend if all(spread.clear for spread in spreads.values()) else NO_WINNER
            said = [f"{other} over {backend}: {spread}" for other, spread in spreads.items()]
            return Finding("library", answer, f"Time of equal cells, {'; '.join(said)}.")
    return None


def _spread(times: Sequence[Mapping[str, float]], one: str, other: str) -> Spread | None:
    """The times of `other` over those of `one`."""
    if one == other:
        return None
    ratios = [each[other] / each[one] for each in times if one in each and other in each]
    return Spread.of(ratios) if ratios else None
