"""The choice of `--again`: all trials, failed trials, unstable timings, or the trials of cells given by key."""

from collections.abc import Callable, Collection, Mapping, Sequence

from bench.failure import UsageError
from bench.plan.due import Again, any_failed, any_unstable
from results.names import nearest
from results.read.standing import StandingTrial
from results.records import Cell, TrialKind

_LEAST_DIGITS = 4  # of the start of a key: fewer are probably a typing error

_WORDS: Mapping[str, Again] = {
    "all": lambda _cell, _kind, _trials: True,
    "failed": any_failed,
    "unstable": any_unstable,
}


def again(wanted: Sequence[str], cells: Collection[Cell]) -> Again | None:
    """The rule that the values of `--again` give, where each value may be a comma-separated list; None without values.

    A UsageError for a value that is neither one of the words nor the start of the key of one of these cells.
    """
    words = [word.strip() for value in wanted for word in value.split(",") if word.strip()]
    if not wanted:
        return None
    if not words:
        raise UsageError("--again is empty: give it all, failed, unstable or the start of cells' keys, or leave it out")
    rules = [_rule(word, cells) for word in words]
    return lambda cell, kind, trials: any(rule(cell, kind, trials) for rule in rules)


def _rule(word: str, cells: Collection[Cell]) -> Callable[[Cell, TrialKind, Sequence[StandingTrial]], bool]:
    if word in _WORDS:
        return _WORDS[word]
    start = word.removeprefix("key=").lower()  # as --only writes it
    chosen = {cell.key for cell in cells if len(start) >= _LEAST_DIGITS and cell.key.startswith(start)}
    if not chosen:
        raise UsageError(
            f"--again {word}: no cell of this sweep has a key that begins so{nearest(word, [*_WORDS])}, "
            f"or {_LEAST_DIGITS} digits of a key (nodebench plan SWEEP prints them)"
        )
    return lambda cell, _kind, _trials: cell.key in chosen
