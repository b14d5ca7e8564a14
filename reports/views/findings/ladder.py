"""Ladders: for each error that may be good enough, the cell with the least time, memory or calls.

A ladder's steps are the Pareto front of a setting: a larger error that is good enough may allow a cheaper cell.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from reports.measured import MeasuredCell
from reports.views.findings.comparison import Comparison, Pair, Times, compare
from reports.views.findings.configuration import Configuration, settings
from reports.views.findings.time_to_error import quickest_first
from results import format as text
from results.records import Cell

RIVALS = 12  # configurations that a step compares with the best one


@dataclass(frozen=True)
class Cost:
    """A quantity that a reader may want to be small."""

    name: str  # in one word, for the page's address
    label: str
    more: str  # the end of "A takes 2.0 times ..."
    value: Callable[[MeasuredCell], float]
    form: text.Form
    clock: str = ""  # name of the samples, if it has any
    sampled: bool = False  # whether another measurement would differ


@dataclass(frozen=True)
class Task:
    """Something that a solver is used for: its error, and its costs."""

    name: str
    label: str
    error: str  # name of the metric
    error_label: str
    costs: tuple[Cost, ...]
    includes: Callable[[Cell], bool]


@dataclass(frozen=True)
class Rival:
    """The best cell of another configuration, compared with the best of all."""

    measured: MeasuredCell
    ratio: float  # of its cost to the best one's; NaN for times that share no round, and if the best one's is 0
    comparison: Comparison | None = None  # of the times


@dataclass(frozen=True)
class Step:
    """The choice for errors from `error` up to that of the next step."""

    error: float
    best: MeasuredCell
    rivals: tuple[Rival, ...]  # by cost, the least first: RIVALS at most


@dataclass(frozen=True)
class Ladder:
    """The choices of a setting for a task, by the error that is good enough, from the smallest error on."""

    problem: str
    setting: str  # what tells it from the problem's other settings
    task: Task
    cost: Cost
    errors: tuple[float, ...]  # of all cells of the setting, ascending, as `shown`
    steps: tuple[Step, ...]

    def at(self, error: float) -> Step | None:
        """The choice if this error is good enough; None if no cell is as exact."""
        return next((step for step in reversed(self.steps) if step.error <= error), None)


def _peak(each: MeasuredCell) -> float:
    return each.value("peak_bytes")


def _forward_calls(each: MeasuredCell) -> float:
    return each.value("nfe_forward")


def _all_calls(each: MeasuredCell) -> float:
    return sum(each.value(name) for name in ("nfe_forward", "nfe_backward", "vjp_backward"))


def _time(clock: str) -> Cost:
    return Cost("time", "time", "times as long", lambda each: each.value(clock), text.seconds, clock, sampled=True)


MEMORY = Cost("memory", "memory", "times as much memory", _peak, text.size)
TASKS = (
    Task(
        "solve",
        "solve",
        "error",
        "largest error of the solution",
        (_time("forward_s"), MEMORY, Cost("calls", "calls of f", "times as many calls", _forward_calls, text.count)),
        lambda cell: cell.gradient == "none",
    ),
    Task(
        "gradient",
        "solve with its gradient",
        "gradient_error",
        "relative error of the gradient",
        (
            _time("gradient_s"),
            MEMORY,
            Cost("calls", "calls of f and VJPs", "times as many calls", _all_calls, text.count),
        ),
        lambda cell: cell.gradient != "none" and not cell.iterations,
    ),
    Task(
        "training",
        "train",
        "final_loss",
        "loss after training",
        (
            Cost(
                "time",
                "time of training",
                "times as long",
                lambda each: each.value("train_s"),
                text.seconds,
                sampled=True,
            ),
            MEMORY,
        ),
        lambda cell: cell.iterations > 0,
    ),
)


def ladders(cells: Iterable[MeasuredCell]) -> tuple[Ladder, ...]:
    """The ladder of each task, setting and cost that has any; times are compared as one family for each clock."""
    cells = list(cells)
    climbed = [
        (setting, task, cost, group, _climbed(group, task, cost))
        for task in TASKS
        for setting, group in settings([each for each in cells if task.includes(each.cell)]).items()
        for cost in task.costs
    ]
    times: dict[str, Times] = {}
    for clock in sorted({cost.clock for _, _, cost, _, _ in climbed if cost.clock}):
        pairs = [pair for _, _, cost, _, steps in climbed if cost.clock == clock for pair in _pairs(steps)]
        times[clock] = compare({(one.key, other.key): (one, other) for one, other in pairs}.values(), clock)
    return tuple(
        Ladder(
            group[0].cell.problem,
            setting.removeprefix(group[0].cell.problem).removeprefix(", "),
            task,
            cost,
            tuple(sorted({shown(each.value(task.error)) for each in _usable(group, task, cost)})),
            tuple(_step(step, cost, times.get(cost.clock, {})) for step in steps),
        )
        for setting, task, cost, group, steps in climbed
        if steps
    )


_Climbed = tuple[float, tuple[MeasuredCell, ...]]  # error; the best cell of each configuration, the best of all first


def shown(error: float) -> float:
    """The error in two significant digits: what differs by less is as exact."""
    return float(text.error(error))


def _usable(cells: Sequence[MeasuredCell], task: Task, cost: Cost) -> list[MeasuredCell]:
    return [each for each in cells if math.isfinite(each.value(task.error)) and math.isfinite(cost.value(each))]


def _climbed(cells: Sequence[MeasuredCell], task: Task, cost: Cost) -> list[_Climbed]:
    """The steps from the smallest error on, each with other best cells than the one before."""
    usable = _usable(cells, task, cost)
    ranked = quickest_first(usable, cost.clock) if cost.clock else sorted(usable, key=cost.value)
    rank = {each.key: place for place, each in enumerate(ranked)}
    best_of: dict[Configuration, MeasuredCell] = {}
    steps: list[_Climbed] = []
    by_error = sorted(usable, key=lambda each: each.value(task.error))
    for error, alike in groupby(by_error, key=lambda each: shown(each.value(task.error))):
        for each in alike:
            known = best_of.get(Configuration.of(each))
            if known is None or rank[each.key] < rank[known.key]:
                best_of[Configuration.of(each)] = each
        best = tuple(sorted(best_of.values(), key=lambda each: rank[each.key])[: RIVALS + 1])
        if not steps or [each.key for each in best] != [each.key for each in steps[-1][1]]:
            steps.append((error, best))
    return steps


def _pairs(steps: Iterable[_Climbed]) -> list[Pair]:
    return [(rival, first) for _, (first, *rivals) in steps for rival in rivals]


def _step(climbed: _Climbed, cost: Cost, times: Times) -> Step:
    error, (best, *others) = climbed
    return Step(error, best, tuple(_rival(each, best, cost, times) for each in others))


def _rival(each: MeasuredCell, best: MeasuredCell, cost: Cost, times: Times) -> Rival:
    if comparison := times.get((each.key, best.key)):
        return Rival(each, comparison.ratio.value, comparison)
    own, least = cost.value(each), cost.value(best)
    return Rival(each, own / least if least > 0 and not cost.clock else math.nan)
