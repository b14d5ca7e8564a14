"""The choices that a reader can ask the page for, as the page's script reads them: texts, and the errors as numbers."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from reports.measured import MeasuredCell
from reports.views.findings.configuration import Configuration, step
from reports.views.findings.ladder import Ladder, Rival, Step, ladders
from results import format as text
from results.records import Cell


@dataclass(frozen=True)
class ChosenCell:
    """A cell that is the best of some choice."""

    name: str  # solver, library, mode, and the step or tolerances
    code: str  # lines of Python; empty if none are known
    command: str


@dataclass(frozen=True)
class Choice:
    """The best cell where an error is good enough, up to the error of the next choice."""

    error: float
    key: str
    said: tuple[str, str]  # its error and its cost
    next: str  # a sentence on the best of the other configurations
    rivals: tuple[tuple[str, str, str, str], ...]  # key, error, cost, and how the cost compares


@dataclass(frozen=True)
class Question:
    """The choices of one task, setting and cost."""

    task: str
    problem: str
    setting: str  # what tells it from the problem's other settings; empty if there is only one
    cost: str
    errors: tuple[tuple[float, str], ...]  # of all cells, ascending, with their texts
    choices: tuple[Choice, ...]  # from the smallest error on


@dataclass(frozen=True)
class Choices:
    """All that the chooser of a page needs."""

    tasks: Mapping[str, str]  # labels by name
    errors: Mapping[str, str]  # what the error of a task is
    costs: Mapping[str, Mapping[str, str]]  # labels by task and name
    questions: tuple[Question, ...]
    cells: Mapping[str, ChosenCell]  # by key

    def as_json(self) -> Mapping[str, object]:
        """The choices in the types of JSON."""
        return asdict(self)


def choices(
    cells: Iterable[MeasuredCell],
    sweeps: Mapping[str, str],
    code: Callable[[Cell], str],
    again: Callable[[str, str], str],
) -> Choices:
    """The choices among these cells.

    sweeps: the name of a sweep by cell key. code: the lines of Python that repeat a cell. again: the command that
    measures a cell of a sweep again, by the sweep's name and the cell's key.
    """
    found = ladders(cells)
    steps = [each for ladder in found for each in ladder.steps]
    named = {each.key: each for step in steps for each in (step.best, *(rival.measured for rival in step.rivals))}
    best = {step.best.key for step in steps}
    tasks = {ladder.task.name: ladder.task for ladder in found}
    return Choices(
        tasks={task.name: task.label for task in tasks.values()},
        errors={task.name: task.error_label for task in tasks.values()},
        costs={task.name: {cost.name: cost.label for cost in task.costs} for task in tasks.values()},
        questions=tuple(_question(ladder) for ladder in found),
        cells={
            key: ChosenCell(
                _name(each),
                code(each.cell) if key in best else "",
                again(sweeps[key], key) if key in best else "",
            )
            for key, each in named.items()
        },
    )


def _name(each: MeasuredCell) -> str:
    return f"{Configuration.of(each)}, {step(each.cell)}"


def _question(ladder: Ladder) -> Question:
    return Question(
        ladder.task.name,
        ladder.problem,
        ladder.setting,
        ladder.cost.name,
        tuple((error, text.error(error)) for error in ladder.errors),
        tuple(_choice(ladder, each) for each in ladder.steps),
    )


def _choice(ladder: Ladder, each: Step) -> Choice:
    rivals = tuple((rival.measured.key, *_said(ladder, rival.measured), compared(rival)) for rival in each.rivals)
    return Choice(each.error, each.best.key, _said(ladder, each.best), sentence(ladder, each), rivals)


def _said(ladder: Ladder, each: MeasuredCell) -> tuple[str, str]:
    return text.error(each.value(ladder.task.error)), ladder.cost.form(ladder.cost.value(each))


def sentence(ladder: Ladder, each: Step) -> str:
    """A sentence on the next best configuration: how much more it costs, and how sure that is."""
    if not each.rivals:
        return "No other configuration is as exact."
    rival, cost = each.rivals[0], ladder.cost
    name = _name(rival.measured)
    if math.isnan(rival.ratio):
        return f"Next: {name} takes {cost.form(cost.value(rival.measured))}; the two were not compared."
    if rival.comparison is None:
        sure = ", by one measurement of each" if cost.sampled else ""
        return f"Next: {name} takes {_times(rival.ratio)} {cost.more}{sure}."
    ratio = rival.comparison.ratio
    said = f"{_times(ratio.value)} {cost.more}, 95 % interval {_times(ratio.low)} to {_times(ratio.high)}"
    if not rival.comparison.differs:
        return f"{name} may be as good: it takes {said}: {rival.comparison.reason}."
    return f"Next: {name} takes {said}."


def compared(rival: Rival) -> str:
    """The ratio of a rival's cost to the best one's with its interval, and why it is not called a difference."""
    if math.isnan(rival.ratio):
        return "not compared"
    if rival.comparison is None:
        return text.times(rival.ratio)
    said = text.ratio(rival.comparison.ratio)
    return said if rival.comparison.differs else f"{rival.comparison.undecided}: {said}"


def _times(ratio: float) -> str:
    return text.times(ratio).removesuffix("×")
