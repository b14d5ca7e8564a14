"""Choices that are compared seed by seed: how many models are worse, how many better, than those of the best choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.views.findings.trained import Trained
from results import format as text
from results.statistics.training import Range

Numbers = Mapping[int, float]  # by seed; of each less is better


@dataclass(frozen=True)
class SeedComparison:
    """The ratios of a choice's numbers to the best choice's, of equal seeds; of other seeds if none is common."""

    ratios: tuple[float, ...]
    margin: float  # a ratio within this factor of 1 is no difference

    @classmethod
    def of(cls, own: Numbers, best: Numbers, margin: float) -> "SeedComparison":
        """The comparison of the seeds that both have, or of each seed with each other."""
        common = own.keys() & best.keys()
        pairs = [(own[seed], best[seed]) for seed in sorted(common)] if common else [
            (one, other) for one in own.values() for other in best.values()
        ]  # fmt: skip
        return cls(tuple(_ratio(one, other) for one, other in pairs), margin)

    @property
    def worse(self) -> int:
        """The number of models that are worse by more than the margin."""
        return sum(each > self.margin for each in self.ratios)

    @property
    def better(self) -> int:
        """The number of models that are better by more than the margin."""
        return sum(each < 1 / self.margin for each in self.ratios)

    @property
    def beaten(self) -> bool:
        """Whether every model is worse."""
        return bool(self.ratios) and self.worse == len(self.ratios)

    def verdict(self, unit: str) -> str:
        """The verdict in a few words: no difference, 2.3× slower (`unit`), worse in 2 and better in 1 of 3 seeds."""
        n = len(self.ratios)
        if self.beaten:
            return unit.format(text.factor(Range.of(self.ratios).median))
        said = [f"{word} in {k}" for word, k in (("worse", self.worse), ("better", self.better)) if k]
        return f"{' and '.join(said)} of {text.plural(n, 'seed')}" if said else "no difference"


def _ratio(own: float, best: float) -> float:
    if own == best:
        return 1.0
    return own / best if best else float("inf")


@dataclass(frozen=True)
class Ranked:
    """A trained choice with its numbers, beside the best choice."""

    trained: Trained
    numbers: Numbers
    beside: SeedComparison | None  # None for the best
    verdict: str

    @property
    def over(self) -> Range:
        """The range of the numbers over seeds."""
        return Range.of(list(self.numbers.values()))


def tied_with(ranked: Sequence[Ranked]) -> list[Ranked]:
    """The best choice and those that it does not beat in every seed."""
    return [each for each in ranked if each.beside is None or not each.beside.beaten]
