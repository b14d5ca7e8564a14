"""Comparisons: the ratio of two cells' times, and whether it is called a difference."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from results import format as text
from results.statistics.ratio import WIDEST, Ratio, corrected, differs, linked_ratio, paired_ratio

NO_DIFFERENCE = "no difference"  # the ratio is within the noise floor
UNCERTAIN = "too uncertain"  # its interval is not beyond the floor, or the corrected p-value is too large

Pair = tuple[MeasuredCell, MeasuredCell]  # numerator and denominator


@dataclass(frozen=True)
class Comparison:
    """A ratio of times, with the noise floor that it must exceed to be a difference."""

    ratio: Ratio
    floor: float  # the noise floor of the block, a factor
    differs: bool  # by the interval, the floor, and the p-value corrected for all comparisons

    @property
    def few_processes(self) -> bool:
        """Whether too few processes were timed to compare these two."""
        return self.ratio.few_processes or not known_floor(self.floor)

    @property
    def undecided(self) -> str:
        """The reason why the ratio is not called a difference; empty if it is."""
        if self.differs:
            return ""
        if self.few_processes:
            return text.TOO_FEW
        within = max(self.ratio.value, 1 / self.ratio.value) <= self.floor
        return NO_DIFFERENCE if within else UNCERTAIN

    @property
    def reason(self) -> str:
        """The reason why the ratio is not called a difference, as a part of a sentence; empty if it is."""
        reasons = {
            NO_DIFFERENCE: f"no difference beyond the noise floor of {floor_text(self.floor)}",
            UNCERTAIN: "too uncertain to call a difference",
        }
        return reasons.get(self.undecided, self.undecided)

    @property
    def verdict(self) -> str:
        """The ratio in words: 2.0× slower, 2.0× faster, or why it is not called a difference."""
        if not self.differs:
            return self.undecided
        value = self.ratio.value
        return text.slower(value) if value > 1 else text.slower(1 / value).replace("slower", "faster")

    @property
    def inverse(self) -> "Comparison":
        """The comparison of the denominator with the numerator."""
        return Comparison(self.ratio.inverse, self.floor, self.differs)


Times = Mapping[tuple[str, str], Comparison]  # by the keys of numerator and denominator
Named = tuple[MeasuredCell, MeasuredCell, str]  # numerator, denominator, and the name of their times


def compare(pairs: Iterable[Pair], name: str) -> Times:
    """The comparisons of the pairs' times of this name that are possible, corrected for their number."""
    asked = {(one.key, other.key): (one, other, name) for one, other in pairs}
    found = zip(asked, compare_all(list(asked.values())), strict=True)
    return {keys: compared for keys, compared in found if compared}


def compare_all(asked: Sequence[Named]) -> list[Comparison | None]:
    """The comparison of each pair's times of a name, corrected for their number; None where none is possible.

    The noise floor is the larger one of the two cells' blocks, which are two where the cells are of different runs.
    """
    ratios = [(ratio_of(*each), _floor(*each)) for each in asked]
    adjusted = iter(corrected([ratio.p_value for ratio, _ in ratios if ratio]))
    return [
        Comparison(ratio, floor, differs(ratio, floor, next(adjusted))) if ratio else None for ratio, floor in ratios
    ]


def _floor(one: MeasuredCell, other: MeasuredCell, name: str) -> float:
    return max(one.block.floor(name), other.block.floor(name))


def ratio_of(numerator: MeasuredCell, denominator: MeasuredCell, name: str) -> Ratio | None:
    """The ratio of two cells' times: by common rounds, else through controls that share rounds with both."""
    if name not in numerator.samples or name not in denominator.samples:
        return None
    one, other = numerator.samples[name], denominator.samples[name]
    if paired := paired_ratio(one, other):
        return paired
    return linked_ratio(one, other, list(numerator.block.links(name)))


def known_floor(floor: float) -> bool:
    """Whether enough processes were timed for the noise floor to say anything."""
    return floor <= WIDEST


def floor_text(floor: float) -> str:
    """A noise floor as a text: 2.1 %."""
    return text.percent(floor - 1) if known_floor(floor) else text.TOO_FEW


def floor_range(floors: Collection[float]) -> str:
    """The noise floors as a text: the only one, or the lowest and the highest, as in 2.1 % to 6.0 %."""
    return " to ".join(dict.fromkeys(floor_text(floor) for floor in (min(floors), max(floors))))
