"""The answer on who is quickest along the error: the winner may be another one where more exactness is asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.choices import Choice
from reports.views.findings.comparison import Pair, Times
from reports.views.findings.configuration import Configuration, names, settings
from reports.views.findings.time_to_error import Criterion, quickest_of_each
from reports.views.parts.answer import CHOICE, VERDICT, WORDS, Answer, Scale, fitting, names_or_count, words_in
from reports.views.parts.table import Column, Value, tabulate, words
from results import format as text
from results.metrics import METRICS

DECADES = tuple(10.0**-n for n in range(1, 13))
PLACES = 5  # errors of a table, at most


@dataclass(frozen=True)
class Leaders:
    """The quickest cell of each configuration within an error, the quickest first."""

    error: float
    choices: tuple[Choice, ...]

    @property
    def best(self) -> Choice:
        """The quickest."""
        return self.choices[0]

    def of(self, name: str) -> Choice | None:
        """The choice of this name; None if it does not reach the error."""
        return next((each for each in self.choices if each.name == name), None)

    def clearly_quicker(self, name: str) -> bool:
        """Whether the best is called quicker than this choice, which may also not reach the error at all."""
        other = self.of(name)
        return other is None or other.slower


def leader_pairs(cells: Sequence[MeasuredCell], criterion: Criterion) -> list[Pair]:
    """The pairs that decide, at each error, between the quickest cell and the others."""
    ranked = [each for group in _groups(cells, criterion).values() for each in _ranked(group, criterion).values()]
    return [(other, best) for best, *others in ranked for other in others]


def leader_answers(cells: Sequence[MeasuredCell], criterion: Criterion, times: Times) -> list[Answer]:
    """An answer for each setting in which two configurations or more reach two errors or more."""
    answers = []
    for title, group in _groups(cells, criterion).items():
        places = leaders(group, criterion, times)
        if len(places) > 1:
            answers.append(_answer(title, places, criterion))
    return answers


def leaders(cells: Sequence[MeasuredCell], criterion: Criterion, times: Times) -> list[Leaders]:
    """The quickest at each error of a setting, from loose to tight."""
    named = names(map(Configuration.of, cells))
    return [
        Leaders(
            error,
            tuple(
                Choice(
                    named[Configuration.of(each)],
                    each.cell.solver,
                    each,
                    times.get((each.key, ranked[0].key)),
                    best=each is ranked[0],
                )
                for each in ranked
            ),
        )
        for error, ranked in _ranked(cells, criterion).items()
    ]


def leaders_sentence(places: Sequence[Leaders]) -> str:
    """The sentence on who leads: another one from an error on, one throughout, or several within the noise."""
    for loose, tight in _crossovers(places):
        before, after = loose.best, tight.best
        there = tight.of(before.name)
        start = text.tolerance(tight.error)
        said = f"{before.name} is quickest to {text.tolerance(loose.error)}, {after.name} from {start}"
        if there is None:
            return fitting(said, f"the former does not reach {start}")
        longer = f"{said}, where the former takes {text.as_long(there.time.ratio.value)}." if there.time else f"{said}."
        return longer if words_in(longer) <= WORDS else f"{said}."
    ends = f"every error from {text.tolerance(places[0].error)} to {text.tolerance(places[-1].error)}"
    always = [each.name for each in places[0].choices if all(_leads(place, each.name) for place in places)]
    if any(each.few_processes for place in places for each in place.choices):
        return f"Too few processes were timed to say who is quickest at {ends}."
    if not always:
        return f"No choice is quickest at {ends}: the order changes within the noise."
    leads = f"{'leads or ties' if len(always) == 1 else 'tie'} at {ends}"
    return f"{names_or_count(always, 'choice', WORDS - words_in(leads))} {leads}."


def _crossovers(places: Sequence[Leaders]) -> list[tuple[Leaders, Leaders]]:
    """The pairs of places at which two choices lead beyond the noise: those first that both reach, then the nearest."""
    pairs = [(one, other) for i, one in enumerate(places) for other in places[i + 1 :]]
    found = [
        (one, other)
        for one, other in pairs
        if one.best.name != other.best.name
        and one.clearly_quicker(other.best.name)
        and other.clearly_quicker(one.best.name)
    ]
    nearest = sorted(found, key=lambda pair: pair[0].error / pair[1].error)
    return sorted(nearest, key=lambda pair: pair[1].of(pair[0].best.name) is None)


def _leads(place: Leaders, name: str) -> bool:
    found = place.of(name)
    return found is not None and (found.best or found.tied)


def _groups(cells: Sequence[MeasuredCell], criterion: Criterion) -> Mapping[str, list[MeasuredCell]]:
    return settings(measured_of(cells, criterion.error, criterion.clock))


def _ranked(cells: Sequence[MeasuredCell], criterion: Criterion) -> dict[float, list[MeasuredCell]]:
    """The quickest cell of each configuration at the errors that two or more reach, the quickest first."""
    within = {error: quickest_of_each(cells, error, criterion) for error in DECADES}
    reached = [error for error, ranked in within.items() if len(ranked) > 1]
    stride = max(1, math.ceil((len(reached) - 1) / (PLACES - 1)))
    return {error: within[error] for error in reached[::stride]}


def _answer(title: str, places: Sequence[Leaders], criterion: Criterion) -> Answer:
    order: dict[str, Choice] = {}
    for place in places:
        for each in sorted(place.choices, key=lambda each: not (each.best or each.tied)):
            order.setdefault(each.name, each)
    led = sorted(order.values(), key=lambda each: -sum(_leads(place, each.name) for place in places))
    scale = Scale.of(each.time.ratio for place in places for each in place.choices if each.time)
    clock = f"{METRICS[criterion.clock].meaning}, over that of the quickest"
    question = f"{title}: who is quickest as a smaller error is asked for?"
    table = tabulate(
        question,
        [
            Column[Choice](CHOICE, lambda each: words(each.name, hue=each.hue)),
            *(_at(place, scale, clock) for place in places),
            Column(VERDICT, lambda each: words(_verdict(each.name, places))),
        ],
        led,
    )
    return Answer(question, leaders_sentence(places), table)


def _at(place: Leaders, scale: Scale, title: str) -> Column[Choice]:
    def show(each: Choice) -> Value:
        found = place.of(each.name)
        if found is None or not (found.best or found.time):
            return Value(text.MISSING, None)
        return scale.one() if found.time is None else scale.value(found.time.ratio, quiet=found.tied)

    return Column(f"to {text.tolerance(place.error)}", show, True, title)


def _verdict(name: str, places: Sequence[Leaders]) -> str:
    """How often a choice is the quickest, or tied with it."""
    best = sum(place.best.name == name for place in places)
    tied = sum(_leads(place, name) for place in places) - best
    said = [f"{word} at {k}" for word, k in (("quickest", best), ("tied", tied)) if k]
    return f"{', '.join(said)} of {len(places)}" if said else "slower at all"
