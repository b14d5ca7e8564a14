"""The answers on the quickest way to an error."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.choices import Choice, choice_table
from reports.views.findings.comparison import Times, compare
from reports.views.findings.configuration import Configuration, grouped, names, settings, step
from reports.views.findings.leaders import leader_answers, leader_pairs
from reports.views.findings.library import library_answers, library_pairs
from reports.views.findings.ranking import intervals, ranking
from reports.views.findings.time_to_error import SOLVES, Criterion, TimeToError, stated, times_to_error
from reports.views.parts.answer import Answer
from results import format as text

Names = Mapping[Configuration, str]


def solver_answers(cells: Sequence[MeasuredCell]) -> tuple[Answer, ...]:
    """The answers on the quickest configuration of each setting and on libraries, as one family of comparisons."""
    decisive = [pair for fastest in times_to_error(cells, SOLVES).values() for pair in fastest.pairs]
    pairs = [*decisive, *leader_pairs(cells, SOLVES), *library_pairs(cells, SOLVES.clock)]
    times = compare(pairs, SOLVES.clock)
    return (
        *quickest_answers(cells, SOLVES, times),
        *leader_answers(cells, SOLVES, times),
        *library_answers(cells, SOLVES.clock, SOLVES.error, times),
    )


def quickest_answers(cells: Sequence[MeasuredCell], criterion: Criterion, times: Times) -> list[Answer]:
    """An answer for each setting in which anything was timed: the quickest to the error, or that none reaches it."""
    answers = []
    for title, group in settings(cells).items():
        timed = measured_of(group, criterion.error, criterion.clock)
        if fastest := TimeToError.of(group, criterion):
            answers.append(quickest_answer(title, fastest, timed, times))
        elif timed and (goal := stated(group, criterion)) is not None:
            answers.append(missed_answer(title, goal, timed, criterion))
    return answers


def quickest_answer(title: str, fastest: TimeToError, timed: Sequence[MeasuredCell], times: Times) -> Answer:
    """The answer on the configuration that takes the least time to the target; `timed` are all of its setting."""
    first, criterion = fastest.cells[0], fastest.criterion
    named = names(map(Configuration.of, timed))
    best, *others = [
        Choice(named[Configuration.of(each)], each.cell.solver, each, times.get((each.key, first.key)))
        for each in fastest.cells
    ]
    reached = _remarked([replace(best, best=True), *sorted(others, key=_by_time)])
    within = {Configuration.of(each) for each in fastest.cells}
    far = [each for each in nearest(timed, criterion) if Configuration.of(each) not in within]
    missed = [_missed(named, each, fastest.error, criterion) for each in far]
    return _answer(title, fastest.error, criterion, [*reached, *missed], ranking(reached, criterion.clock))


def missed_answer(title: str, goal: float, timed: Sequence[MeasuredCell], criterion: Criterion) -> Answer:
    """The answer where no cell of the setting reaches the study's goal."""
    named = names(map(Configuration.of, timed))
    choices = [_missed(named, each, goal, criterion) for each in nearest(timed, criterion)]
    least = choices[0].measured.value(criterion.error)
    sentence = f"No choice reaches {text.tolerance(goal)}; {choices[0].name} comes nearest with {text.error(least)}."
    return _answer(title, goal, criterion, choices, sentence)


def nearest(timed: Sequence[MeasuredCell], criterion: Criterion) -> list[MeasuredCell]:
    """The cell with the least error of each configuration, the least first."""
    ranked = sorted(timed, key=lambda each: each.value(criterion.error))
    return [group[0] for group in grouped(ranked, Configuration.of).values()]


def _answer(title: str, error: float, criterion: Criterion, choices: Sequence[Choice], sentence: str) -> Answer:
    noted = [replace(each, note=step(each.measured.cell)) for each in choices]
    goal = f"{criterion.in_words} of {text.tolerance(error)}"
    table = choice_table(f"{title}: least time to {goal}", noted, error=criterion.error, clock=criterion.clock)
    return Answer(f"{title}: which choice reaches {goal} in the least time?", sentence, table, intervals(choices))


def _by_time(choice: Choice) -> float:
    return choice.time.ratio.value if choice.time else math.inf


def _remarked(ranked: Sequence[Choice]) -> list[Choice]:
    """The choices, of which the quickest of each library but the best one's is marked."""
    first = {backend: group[0].key for backend, group in grouped([each.measured for each in ranked], _backend).items()}
    leads = set(first.values()) - {ranked[0].measured.key}
    return [
        replace(each, remark=f"best of {_backend(each.measured)}") if each.measured.key in leads else each
        for each in ranked
    ]


def _backend(measured: MeasuredCell) -> str:
    return measured.cell.backend


def _missed(named: Names, cell: MeasuredCell, error: float, criterion: Criterion) -> Choice:
    name = named[Configuration.of(cell)]
    excess = text.factor(cell.value(criterion.error) / error)
    return Choice(name, cell.cell.solver, cell, None, verdict_instead=f"errs {excess}× too much")
