"""The answers on training: the smallest loss so far, and the race to a target loss."""

import math
from collections.abc import Callable, Mapping, Sequence

from reports.views.findings.choices import BEST
from reports.views.findings.configuration import names, step
from reports.views.findings.seeds import Numbers, Ranked, SeedComparison, tied_with
from reports.views.findings.trained import Trained, optimiser, target_of
from reports.views.parts.answer import (
    CHOICE,
    MEMORY,
    NFE,
    TIME,
    VERDICT,
    WORDS,
    Answer,
    Scale,
    fitting,
    names_or_count,
    words_in,
)
from reports.views.parts.table import Column, Value, number, tabulate, words
from results import format as text
from results.metrics import METRICS
from results.statistics.training import Range

CLOSE = 2.0  # losses within this factor of the best may differ only by the seed
CLOSE_TIME = 1.5  # trainings are timed one after the other: equal work was seen to differ by this factor
LOSS = "least\nloss"
RACED = "seconds of training up to the target, over the best choice's; the line is the range of the seeds"
SO_FAR = "the least loss on the whole trajectory, which is that of the state one keeps: median and range of the seeds"
MARGINS = (
    f"Losses within a factor of {CLOSE:g} and times of training within {CLOSE_TIME:g} are no difference; a choice is "
    "beaten if each of its models is, compared with the best choice's of the same seed."
)


def loss_answer(setting: str, choices: Sequence[Trained]) -> Answer | None:
    """The answer on the choice with the smallest loss so far as training ends; None if nothing was trained."""
    losses = {each: each.least_losses for each in choices}
    known = [each for each in choices if losses[each] and math.isfinite(_median(losses[each]))]
    if not known:
        return None
    ranked = _ranked(known, losses, CLOSE, "{}× the loss")
    named = trained_names(choices)
    best, tied = ranked[0], tied_with(ranked)
    loss = text.number(best.over.median)
    if len(tied) > 1:
        sentence = fitting(_listed(tied, named, f"tie at a loss of {loss}"), _within(tied, CLOSE))
    else:
        sentence = fitting(f"{named[best.trained]} comes to a loss of {loss}", _next(ranked, named, "the loss"))
    start = f"Before training it is {text.number(best.trained.over('initial_loss').median)}."
    return _answer(f"{setting}: which choice trains to the smallest loss?", sentence, ranked, named, details=(start,))


def target_answer(setting: str, choices: Sequence[Trained]) -> Answer | None:
    """The answer on the choice whose loss so far reaches the target first; None without a target."""
    target = target_of(choices)
    if target is None:
        return None
    times = {each: each.times_to(target) for each in choices}
    timed = [each for each in choices if times[each]]
    named = trained_names(choices)
    whole = [each for each in timed if all(map(math.isfinite, times[each].values()))]
    partly = sorted((each for each in timed if each not in whole), key=lambda each: -_count(times[each]))
    ranked = _ranked(whole, times, CLOSE_TIME, "{}× slower") if whole else []
    missed = [Ranked(each, times[each], None, _reached(times[each])) for each in partly]
    if not timed:
        return None
    sentence = race_sentence(ranked, missed, named) if ranked else missed_sentence(target, missed, named)
    question = f"{setting}: which choice trains to a loss of {text.tolerance(target)} in the least time?"
    return _answer(question, sentence, [*ranked, *missed], named, raced=bool(ranked))


def race_sentence(ranked: Sequence[Ranked], missed: Sequence[Ranked], named: Mapping[Trained, str]) -> str:
    """The sentence on the choices that reach the target with every seed, the quickest first."""
    best, tied = ranked[0], tied_with(ranked)
    seconds = text.seconds(best.over.median)
    k, n = len(ranked), text.plural(len(ranked) + len(missed), "choice")
    reached = f"{k} of {n} {'reaches' if k == 1 else 'reach'} it with every seed" if missed else ""
    if len(tied) > 1:
        return fitting(_listed(tied, named, f"tie at {seconds}"), reached)
    return fitting(f"{named[best.trained]} takes {seconds}", _next(ranked, named, "the time"), reached)


def missed_sentence(target: float, missed: Sequence[Ranked], named: Mapping[Trained, str]) -> str:
    """The sentence on a target that no choice reaches with every seed: how near they come."""
    first = missed[0]
    k, n = _count(first.numbers), len(first.numbers)
    least = min((loss for each in missed for loss in each.trained.least_losses.values()), default=math.nan)
    most = f"{named[first.trained]} does with {k} of {n}" if k else f"the least loss is {text.number(least)}"
    return f"No choice comes to {text.tolerance(target)} with every seed; {most}."


def _listed(tied: Sequence[Ranked], named: Mapping[Trained, str], rest: str) -> str:
    """All tied choices by name, if these fit into a sentence with the rest of it."""
    return f"{names_or_count([named[each.trained] for each in tied], 'choice', WORDS - words_in(rest))} {rest}"


def trained_names(choices: Sequence[Trained]) -> dict[Trained, str]:
    """A name for each choice: its configuration, with step and optimiser where the configuration is not enough."""
    short = names(each.configuration for each in choices)
    groups: dict[str, list[Trained]] = {}
    for each in choices:
        groups.setdefault(short[each.configuration], []).append(each)
    return {
        each: name if len(group) == 1 else _full(name, each, group) for name, group in groups.items() for each in group
    }


def _full(name: str, choice: Trained, alike: Sequence[Trained]) -> str:
    """The name with what tells the choice from others of its configuration."""
    parts = (_step, _optimiser)
    said = [part(choice) for part in parts if len({part(each) for each in alike}) > 1]
    return ", ".join([name, *filter(None, said)])


def _step(choice: Trained) -> str:
    return step(choice.cell)


def _optimiser(choice: Trained) -> str:
    return optimiser(choice.cell)


def _ranked(choices: Sequence[Trained], numbers: Mapping[Trained, Numbers], margin: float, unit: str) -> list[Ranked]:
    """The choices by the median of their numbers, each beside the first."""
    ordered = sorted(choices, key=lambda each: _median(numbers[each]))
    best, *others = ordered
    ranked = [Ranked(best, numbers[best], None, BEST)]
    for each in others:
        beside = SeedComparison.of(numbers[each], numbers[best], margin)
        ranked.append(Ranked(each, numbers[each], beside, beside.verdict(unit)))
    return ranked


def _next(ranked: Sequence[Ranked], named: Mapping[Trained, str], what: str) -> str:
    """The clause on the second choice."""
    if len(ranked) < 2 or ranked[1].beside is None:
        return ""
    ratio = Range.of(ranked[1].beside.ratios).median
    return f"{named[ranked[1].trained]} {text.factor(ratio)} times {what}"


def _within(tied: Sequence[Ranked], factor: float) -> str:
    one = all(len(each.numbers) == 1 for each in tied)
    return f"one seed each, within a factor of {factor:g}" if one else "no other is worse in every seed"


def _reached(times: Numbers) -> str:
    k = _count(times)
    return f"reached by {k} of {text.plural(len(times), 'seed')}" if k else "not reached"


def _count(times: Numbers) -> int:
    return sum(map(math.isfinite, times.values()))


def _median(numbers: Numbers) -> float:
    return Range.of(list(numbers.values())).median


def _answer(
    question: str,
    sentence: str,
    ranked: Sequence[Ranked],
    named: Mapping[Trained, str],
    *,
    raced: bool = False,
    details: tuple[str, ...] = (),
) -> Answer:
    """The answer with its table, whose times are those of the race, or of the whole training."""
    scale = Scale.holding(ratio for each in ranked if each.beside for ratio in each.beside.ratios)
    time: Callable[[Ranked], Value] = (lambda each: _raced(each, scale)) if raced else _trained_time
    return Answer(
        question,
        sentence,
        tabulate(
            question,
            [
                Column[Ranked](CHOICE, lambda each: words(named[each.trained], hue=each.trained.cell.solver)),
                Column(TIME, time, True, RACED if raced else METRICS["train_s"].meaning),
                Column(LOSS, _loss, True, SO_FAR),
                Column(
                    MEMORY,
                    lambda each: number(each.trained.over("peak_bytes").median, text.size),
                    True,
                    METRICS["peak_bytes"].meaning,
                ),
                Column(
                    NFE,
                    lambda each: number(each.trained.over("nfe_end").median, text.count),
                    True,
                    METRICS["nfe_end"].meaning,
                ),
                Column(VERDICT, lambda each: words(each.verdict)),
            ],
            ranked,
        ),
        (*details, MARGINS),
    )


def _raced(each: Ranked, scale: Scale) -> Value:
    seconds = text.seconds(each.over.median)
    if each.beside is not None:
        over = Range.of(each.beside.ratios)
        return scale.ranged(over.median, over.low, over.high, note=seconds)
    return scale.one(note=seconds) if each.verdict == BEST else Value(seconds, each.over.median)


def _trained_time(each: Ranked) -> Value:
    return number(each.trained.over("train_s").median, text.seconds)


def _loss(each: Ranked) -> Value:
    over = Range.of(list(each.trained.least_losses.values()))
    note = f"{text.number(over.low)} to {text.number(over.high)}" if over.low < over.high else ""
    return Value(text.number(over.median), over.median, note=note) if over.n else Value(text.MISSING, None)
