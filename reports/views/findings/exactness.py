"""The answers on the exactness of gradients: at equal tolerance, and at equal work."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from reports.views.findings.configuration import Configuration, names
from reports.views.findings.modes import CLOCK, ModeRow
from reports.views.findings.series import Along, Series
from reports.views.parts.answer import CHOICE, ERROR, VERDICT, Answer, fitting
from reports.views.parts.table import Column, number, tabulate, words
from results import format as text
from results.statistics.equal_work import error_ratio

ALIKE = 1.1  # errors within this factor count as equal at equal tolerance
ALIKE_WORK = 2.0  # and at equal work, where the noise of the time enters with the power of the order
WORK_TITLE = "at the geometric middle of the times that both cover; nothing is extrapolated"
TOLERANCE, WORK = "error ratio at\nequal tolerance", "error ratio at\nequal time"


@dataclass(frozen=True)
class Exactness:
    """The gradient errors of a mode along the tolerance, over those of the mode that it is compared with."""

    name: str
    series: Series

    @property
    def middle(self) -> ModeRow:
        """The row of the middle tolerance."""
        return self.series.rows[len(self.series.rows) // 2]

    @property
    def at_tolerance(self) -> float:
        """The ratio of the errors at the middle tolerance."""
        return self.middle.quotient("gradient_error")

    @property
    def at_work(self) -> float:
        """The ratio of the errors in equal time; NaN if the two have no time in common."""
        own = [row.measured for row in self.series.rows]
        other = [row.compared_with for row in self.series.rows]
        in_controls = all(math.isfinite(each.relative(CLOCK)) for each in (*own, *other))
        return error_ratio(_curve(own, in_controls=in_controls), _curve(other, in_controls=in_controls))

    @property
    def verdict(self) -> str:
        """Whether the mode is more or less exact, at equal tolerance and in equal time."""
        at_tolerance, at_work = _word(self.at_tolerance, ALIKE), _word(self.at_work, ALIKE_WORK)
        if not at_work or at_work == at_tolerance:
            return at_tolerance
        return f"{at_tolerance}, in equal time {at_work}"


def exactness_answer(along: Along) -> Answer | None:
    """The answer on the gradient errors of a setting; None if no errors can be compared."""
    bases = (Configuration.of(each.rows[0].compared_with) for each in along.series)
    named = names([*bases, *(each.configuration for each in along.series)])
    every = [Exactness(named[each.configuration], each) for each in along.series]
    rows = [each for each in every if not math.isnan(each.at_tolerance)]
    if not rows:
        return None
    common = rows[0].middle.compared_with.cell.gradient
    question = f"{along.title}: whose gradient is the most exact?"
    table = tabulate(
        question,
        [
            Column[Exactness](CHOICE, lambda row: words(row.name, hue=row.middle.measured.cell.gradient)),
            Column(ERROR, lambda row: number(row.middle.measured.value("gradient_error"), text.error), True),
            Column(
                f"{common}'s\nerror",
                lambda row: number(row.middle.compared_with.value("gradient_error"), text.error),
                True,
            ),
            Column(TOLERANCE, lambda row: number(row.at_tolerance, text.times), True),
            Column(WORK, lambda row: number(row.at_work, text.times), True, WORK_TITLE),
            Column(VERDICT, lambda row: words(row.verdict)),
        ],
        rows,
    )
    details = (
        f"Errors relative to the true gradient, at {along.series[0].places[len(along.series[0].places) // 2][1]}.",
    )
    return Answer(question, exactness_sentence(rows, common), table, details)


def exactness_sentence(rows: Sequence[Exactness], common: str) -> str:
    """The sentence on the mode with the least error at equal tolerance, and what is left of it in equal time."""
    least = min(rows, key=lambda row: row.at_tolerance)
    timed = min((row for row in rows if not math.isnan(row.at_work)), key=lambda row: row.at_work, default=None)
    if least.at_tolerance > 1 / ALIKE:
        if timed is None:
            errs = f"{least.name} errs {text.factor(least.at_tolerance)} times as much"
            return f"No mode errs less than {common} at equal tolerance: {errs}."
        errs = f"in equal time {timed.name} errs {text.factor(timed.at_work)} times as much"
        return fitting(f"No mode errs less than {common} at equal tolerance", errs)
    said = f"At equal tolerance {least.name} errs {text.factor(least.at_tolerance)} times as much as {common}"
    return f"{said}." if math.isnan(least.at_work) else f"{said}, in equal time {text.factor(least.at_work)} times."


def _curve(cells: Sequence[MeasuredCell], *, in_controls: bool) -> list[tuple[float, float]]:
    """The points of time and gradient error: the time over the control's, or in seconds."""
    times = [each.relative(CLOCK) if in_controls else each.value(CLOCK) for each in cells]
    return [(time, each.value("gradient_error")) for time, each in zip(times, cells, strict=True)]


def _word(ratio: float, alike: float) -> str:
    """The ratio of errors in words; empty if it is not known."""
    if math.isnan(ratio):
        return ""
    if max(ratio, 1 / ratio) <= alike:
        return "as exact"
    return "more exact" if ratio < 1 else "less exact"
