"""The answers on gradient modes at one point of the sweep: the time, error, memory and NFE of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.axes import AXES, middle
from reports.views.findings.choices import Choice, choice_table
from reports.views.findings.comparison import Pair, Times
from reports.views.findings.configuration import SETTINGS, Configuration, grouped, names, settings
from reports.views.findings.modes import CLOCK
from reports.views.findings.ranking import intervals, ranking
from reports.views.findings.time_to_error import quickest_first
from reports.views.parts.answer import Answer, fitting
from results import format as text

WRONG = 0.1  # relative error of a gradient from which on it is called wrong
POINT = tuple(name for name in SETTINGS if name not in ("horizon", "n_outputs", "seed"))
SETTING = tuple(name for name in SETTINGS if name not in ("horizon", "n_outputs"))


@dataclass(frozen=True)
class ModePoint:
    """The timed choices of a setting where each other axis has its middle value, the best first."""

    title: str
    held: tuple[str, ...]
    cells: tuple[MeasuredCell, ...]

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of the other cells and the best."""
        return [(each, self.cells[0]) for each in self.cells[1:]]


def mode_points(cells: Sequence[MeasuredCell]) -> list[ModePoint]:
    """The points of all settings in which two choices or more were timed, of the first seed."""
    points = []
    for title, group in settings(measured_of(cells, CLOCK), POINT).items():
        held = {name: middle(group, place) for name, place in AXES.items()}
        every = [each for each in group if all(AXES[name](each) == place for name, place in held.items())]
        seed = min(each.cell.seed for each in every)
        alike = grouped([each for each in every if each.cell.seed == seed], Configuration.of)
        at = [same[0] for same in alike.values()]  # an optimiser does not change what a gradient costs
        if len(at) > 1:
            right = [each for each in at if not is_wrong(each)]
            ranked = quickest_first(right, CLOCK) + quickest_first([each for each in at if is_wrong(each)], CLOCK)
            points.append(ModePoint(title, tuple(said for _, said in held.values()), tuple(ranked)))
    return points


def is_wrong(measured: MeasuredCell) -> bool:
    """Whether the gradient is off by so much that its time does not count."""
    return measured.value("gradient_error") >= WRONG


def mode_point_answer(point: ModePoint, times: Times) -> Answer:
    """The answer on the quickest mode, and on the one with the least memory."""
    named = names(map(Configuration.of, point.cells))
    first = point.cells[0]
    choices = [
        Choice(
            named[Configuration.of(each)],
            each.cell.gradient,
            each,
            times.get((each.key, first.key)),
            best=each is first,
            verdict_instead=f"wrong by {text.percent(each.value('gradient_error'))}" if is_wrong(each) else "",
        )
        for each in point.cells
    ]
    right = [each for each in choices if not is_wrong(each.measured)]
    ordered = [*right[:1], *sorted(right[1:], key=_by_time), *(each for each in choices if is_wrong(each.measured))]
    where = ", ".join(point.held)
    table = choice_table(f"{point.title}: at {where}", ordered, error="gradient_error", clock=CLOCK)
    question = f"{point.title}: what does a gradient cost in each mode?"
    details = (f"Measured at {where}.", *intervals(ordered))
    return Answer(
        question, _sentence([each for each in ordered if each in right] if right else ordered), table, details
    )


def _sentence(choices: Sequence[Choice]) -> str:
    """The quickest and, if it is another one, the choice with the least memory, with its two ratios."""
    best, *others = choices
    if is_wrong(best.measured):
        least = min(each.measured.value("gradient_error") for each in choices)
        return f"Every gradient is wrong, by {text.percent(least)} or more."
    lean = min(choices, key=_bytes)
    alone = all(each.slower for each in others)
    if not alone or lean.time is None or math.isinf(_bytes(lean)) or math.isinf(_bytes(best)):
        said = ranking(choices, CLOCK)
        return fitting(
            said.removesuffix("."), f"{lean.name} needs the least memory" if math.isfinite(_bytes(lean)) else ""
        )
    sizes = f"{text.size(_bytes(lean))} against {text.size(_bytes(best))}"
    return fitting(f"{best.name} is quickest", f"{lean.name} takes {text.as_long(lean.time.ratio.value)} for {sizes}")


def _bytes(choice: Choice) -> float:
    peak = choice.measured.value("peak_bytes")
    return math.inf if math.isnan(peak) else peak


def _by_time(choice: Choice) -> float:
    return choice.time.ratio.value if choice.time else math.inf
