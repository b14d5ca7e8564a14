"""The spread of several comparisons' ratios, and how many of them are differences."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.views.findings.comparison import Comparison, undecided
from results import format as text
from results.statistics.ratio import Ratio, median

MAJORITY = 0.75  # share of the ratios that must differ to the same side


@dataclass(frozen=True)
class Spread:
    """Median and range of at least one ratio."""

    median: float
    low: float
    high: float
    n: int
    below: int  # number of ratios that are called less than 1
    above: int
    single: Ratio | None = None  # of the only timed comparison
    undecided: str = ""  # why none of the timed comparisons is called a difference

    @classmethod
    def counted(cls, ratios: Sequence[float]) -> "Spread":
        """The spread of counts: each ratio other than 1 is a difference."""
        below, above = sum(ratio < 1 for ratio in ratios), sum(ratio > 1 for ratio in ratios)
        return cls(median(ratios), min(ratios), max(ratios), len(ratios), below, above)

    @classmethod
    def timed(cls, comparisons: Sequence[Comparison]) -> "Spread":
        """The spread of times: only ratios that are called a difference count."""
        ratios = [each.ratio.value for each in comparisons]
        called = [each.ratio.value for each in comparisons if each.differs]
        below, above = sum(ratio < 1 for ratio in called), sum(ratio > 1 for ratio in called)
        single = comparisons[0].ratio if len(comparisons) == 1 else None
        why = "" if called else undecided(comparisons)
        return cls(median(ratios), min(ratios), max(ratios), len(ratios), below, above, single, why)

    @property
    def clear(self) -> bool:
        """Whether most of the ratios differ to the same side."""
        return max(self.below, self.above) >= MAJORITY * self.n

    @property
    def equal(self) -> bool:
        """Whether no ratio differs from 1."""
        return self.below == self.above == 0

    def __str__(self) -> str:
        if self.n == 1:
            said = text.ratio(self.single) if self.single else text.times(self.median)
        else:
            span = f"{text.times(self.low)} to {text.times(self.high)}"
            said = f"{text.times(self.median)} (median of {self.n} comparisons, {span})"
        return f"{said}, {self.undecided}" if self.undecided else said
