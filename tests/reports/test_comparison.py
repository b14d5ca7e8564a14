"""Comparisons of cells: ratios within rounds and through a control, and which differences count."""

import math
from dataclasses import replace

import pytest

from reports.views.findings.comparison import Comparison, compare, floor_range, ratio_of
from results.statistics.ratio import Ratio
from tests.support.made import RK4, a_cell, in_block, plain, timings


def timed(solver: str, seconds: float, processes=range(4), **noise):
    made = a_cell(replace(RK4, solver=solver))
    return replace(made, samples={"forward_s": timings(seconds, processes, **noise)})


def test_cells_of_one_round_are_compared_in_it():
    ratio = ratio_of(timed("a", 3.0, seed=1), timed("b", 2.0, seed=2), "forward_s")
    assert ratio.low < 1.5 < ratio.high < 1.53
    assert ratio.pairs == 40


def test_cells_of_different_rounds_are_compared_through_their_control():
    """The load differs by a factor of e from process to process."""
    control = timed("r", 0.1, range(8), seed=3)
    _, one, other = in_block(control, timed("a", 3.0, seed=1), timed("b", 2.0, range(4, 8), seed=2))
    ratio = ratio_of(one, other, "forward_s")
    assert ratio.low < 1.5 < ratio.high < 1.53
    assert ratio.pairs == 40
    back = ratio_of(other, one, "forward_s")
    assert back.value == pytest.approx(1 / ratio.value)


def test_cells_of_different_rounds_without_a_control_are_not_compared():
    one, other = timed("a", 3.0), timed("b", 2.0, range(4, 8))
    assert ratio_of(one, other, "forward_s") is None
    assert compare([(one, other)], "forward_s") == {}


def test_a_time_that_one_cell_lacks_is_not_compared():
    assert ratio_of(timed("a", 3.0), a_cell(error=1.0), "forward_s") is None
    assert ratio_of(timed("a", 3.0), timed("b", 2.0), "gradient_s") is None


@pytest.mark.parametrize(("off", "called"), [(1.01, True), (0.99, True), (1.2, False), (0.8, False)])
def test_a_significant_difference_counts_only_beyond_the_noise_floor(off, called):
    _, one, other = in_block(timed("r", 1.0), timed("a", 1.1, seed=1), timed("b", 1.0, seed=2), off=off)
    compared = compare([(one, other)], "forward_s")[one.key, other.key]
    assert compared.ratio.low > 1
    assert compared.differs is called
    assert compared.floor == pytest.approx(max(off, 1 / off))
    assert plain(compared.verdict) == ("1.1× slower" if called else "no difference")


def test_an_uncertain_difference_does_not_count_however_large():
    _, one, other = in_block(timed("r", 1.0), timed("a", 1.2, range(4), spread=0.8, seed=1), timed("b", 1.0, seed=2))
    compared = compare([(one, other)], "forward_s")[one.key, other.key]
    assert compared.ratio.value > 1.1 > compared.floor
    assert not compared.differs
    assert compared.verdict == "too uncertain"


@pytest.mark.parametrize(
    ("compared", "verdict"),
    [
        (Comparison(Ratio(2.0, 0.0, math.inf, 5), 1.0, False), "too few processes"),
        (Comparison(Ratio(2.0, 0.3, 17.3, 10), 1.02, False), "too few processes"),  # ±766 %
        (Comparison(Ratio(2.0, 1.9, 2.1, 10), 40.18, False), "too few processes"),  # a floor of 3,918 %
        (Comparison(Ratio(2.0, 1.9, 2.1, 10), 1.02, True), "2.0× slower"),
        (Comparison(Ratio(0.5, 0.4, 0.6, 10), 1.02, True), "2.0× faster"),
    ],
)
def test_a_verdict_is_a_factor_or_the_reason_why_there_is_none(compared, verdict):
    assert compared.verdict == verdict


def test_a_difference_that_is_significant_alone_may_be_uncertain_among_many():
    cells = [timed(f"s{seed}", 1.0, spread=0.03, seed=seed) for seed in range(80)]
    pairs = [(one, other) for one, other in zip(cells[::2], cells[1::2], strict=True)]
    together = compare(pairs, "forward_s")
    excluding = [pair for pair in pairs if not _holds_one(together[pair[0].key, pair[1].key].ratio)]
    assert excluding
    assert all(compare([(one, other)], "forward_s")[one.key, other.key].differs for one, other in excluding)
    assert not any(compared.differs for compared in together.values())


def _holds_one(ratio: Ratio) -> bool:
    return ratio.low <= 1 <= ratio.high


def test_the_inverse_of_a_comparison_has_the_inverse_ratio():
    compared = Comparison(Ratio(2.0, 1.6, 2.5, 10), 1.1, True)
    assert compared.inverse.ratio == Ratio(0.5, 0.4, 0.625, 10)
    assert compared.inverse.differs
    assert Ratio(2.0, 0.0, math.inf, 1).inverse == Ratio(0.5, 0.0, math.inf, 1)


def test_equal_noise_floors_are_printed_as_one_number():
    assert plain(floor_range([1.02, 1.02])) == "2.0 %"
    assert plain(floor_range([1.2, 1.02, 1.06])) == "2.0 % to 20 %"
    assert floor_range([40.18]) == "too few processes"
