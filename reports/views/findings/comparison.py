"""Comparisons: the ratio of two cells' times, and whether it is called a difference."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell
from results import format as text
from results.statistics.ratio import Ratio, corrected, differs, linked_ratio, paired_ratio

Pair = tuple[MeasuredCell, MeasuredCell]  # numerator and denominator


@dataclass(frozen=True)
class Comparison:
    """A ratio of times, with the noise floor that it must exceed to be a difference."""

    ratio: Ratio
    floor: float  # the noise floor of the block, a factor
    differs: bool  # by the interval, the floor, and the p-value corrected for all comparisons

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


def undecided(comparisons: Collection[Comparison]) -> str:
    """The reason why none of these comparisons is called a difference."""
    floors = [each.floor for each in comparisons]
    if all(max(each.ratio.value, 1 / each.ratio.value) <= each.floor < math.inf for each in comparisons):
        return f"no difference beyond the noise floor of {floor_range(floors)}"
    return "too uncertain to call a difference"


def floor_range(floors: Collection[float]) -> str:
    """The noise floors as a text: the only one, or the lowest and the highest, as in 2.1 % to 6.0 %."""
    said = [text.percent(floor - 1) for floor in (min(floors), max(floors))]
    return " to ".join(dict.fromkeys(said))
