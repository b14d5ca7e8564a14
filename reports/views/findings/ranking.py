"""The sentence on choices that are ranked by their time: one that is quickest, a tie, or too few processes."""

from collections.abc import Sequence

from reports.views.findings.choices import Choice
from reports.views.findings.comparison import NO_DIFFERENCE
from reports.views.parts.answer import WORDS, fitting, names_or_count, words_in
from results import format as text
from results.statistics.ratio import Ratio


def ranking(choices: Sequence[Choice], clock: str) -> str:
    """The sentence on the choices that count: the best, then the others from quick to slow."""
    best, *others = choices
    takes = f"{best.name} takes {text.seconds(best.measured.value(clock))}"
    if not others:
        return f"{takes}; there is no other choice."
    if few := [each.name for each in others if each.few_processes]:
        compared = f"{takes}; too few processes were timed to compare"
        return f"{compared} {names_or_count(few, 'other choice', WORDS - words_in(compared))}."
    slower = [each for each in others if each.slower]
    if tied := [each for each in others if each.tied]:
        within = all(each.time.undecided == NO_DIFFERENCE for each in tied if each.time)
        tie = "tie" if within else "are too close to call"
        at = f"{tie} at {text.seconds(best.measured.value(clock))}"
        said = names_or_count([best.name, *(each.name for each in tied)], "choice", WORDS - words_in(at))
        return fitting(f"{said} {at}", _next(slower))
    if not slower:
        seconds = text.seconds(others[0].measured.value(clock))
        return fitting(takes, f"{others[0].name}, not timed beside it, {seconds}")
    return _slower(takes, best, slower)


def _slower(takes: str, best: Choice, slower: Sequence[Choice]) -> str:
    """The sentence that ends with the next choice and, where that fits, with the best of another library."""
    first, backends = slower[0], {best.measured.cell.backend, slower[0].measured.cell.backend}
    foreign = next((each for each in slower if each.measured.cell.backend not in backends), None)
    if foreign is None or min(_ratio(first).value, _ratio(foreign).value) < text.BY_PERCENT:
        return f"{takes}, {first.name} {text.as_long(_ratio(first).value)}."
    both = f"{first.name} {text.factor(_ratio(first).value)} and {foreign.name} {text.as_long(_ratio(foreign).value)}"
    return f"{takes}, {both}."


def _next(slower: Sequence[Choice]) -> str:
    return f"{slower[0].name} takes {text.as_long(_ratio(slower[0]).value)}" if slower else ""


def _ratio(choice: Choice) -> Ratio:
    if choice.time is None:
        raise ValueError(f"{choice.name} was compared with no other choice")
    return choice.time.ratio


def intervals(choices: Sequence[Choice]) -> tuple[str, ...]:
    """The ratio of each compared choice with its interval, as sentences."""
    return tuple(
        f"{each.name} takes {text.ratio(each.time.ratio)} the time of the best ({each.time.verdict})."
        for each in choices
        if each.time
    )
