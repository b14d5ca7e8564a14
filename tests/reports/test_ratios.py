"""Ratios of paired samples: intervals, p-values, noise floors and links through shared rounds."""

import itertools
import math

import numpy as np
import pytest
from pandas import MultiIndex, Series, concat
from scipy import stats

from results.statistics.ratio import Ratio, corrected, differs, linked_ratio, noise_floor, paired_ratio

ROUNDS = 20
SPREAD = 0.08  # standard deviation of the log of a pair's ratio, as of two pinned workers beside a noisy neighbour


def series(values: dict[tuple[int, int], float]) -> Series:
    index = MultiIndex.from_tuples(values, names=["process_index", "round_index"])
    return Series(list(values.values()), index=index)


def noisy(median_s: float, *, seed: int, processes: int = 3, rounds: int = 20) -> Series:
    """Samples under a load that is the same for all cells of a round, as in interleaved timing."""
    rng, load = np.random.default_rng(seed), np.random.default_rng(0).lognormal(0, 0.5, (processes, rounds))
    own = rng.lognormal(0, 0.02, (processes, rounds))
    return series({(p, r): median_s * load[p, r] * own[p, r] for p in range(processes) for r in range(rounds)})


def test_a_constant_ratio_has_an_interval_of_zero_width():
    denominator = series({(0, 0): 1.0, (0, 1): 5.0, (1, 0): 2.0})
    ratio = paired_ratio(3 * denominator, denominator)
    assert (ratio.value, ratio.low, ratio.high, ratio.pairs) == (pytest.approx(3.0), ratio.value, ratio.value, 3)


def test_pairing_removes_the_load_that_both_share():
    one, two = noisy(1.0, seed=1), noisy(2.0, seed=2)
    ratio = paired_ratio(two, one)
    assert ratio.low < 2.0 < ratio.high
    assert ratio.high / ratio.low < 1.05
    assert one.max() / one.min() > 2


def test_the_interval_of_equal_workloads_contains_one():
    ratio = paired_ratio(noisy(1.0, seed=1), noisy(1.0, seed=2))
    assert ratio.low <= 1 <= ratio.high


def test_the_interval_is_reproducible():
    assert paired_ratio(noisy(2.0, seed=1), noisy(1.0, seed=2)) == paired_ratio(noisy(2.0, seed=1), noisy(1.0, seed=2))


def test_processes_that_disagree_widen_the_interval():
    rounds = {(p, r): 1.0 for p in range(4) for r in range(50)}
    apart = {(p, r): 1.0 + 0.2 * p for p, r in rounds}
    ratio = paired_ratio(series(apart), series(rounds))
    assert ratio.low < 1.0
    assert ratio.high > 1.6


def test_only_rounds_that_both_have_are_pairs():
    ratio = paired_ratio(series({(0, 0): 2.0, (0, 1): 9.0}), series({(0, 0): 1.0, (1, 0): 1.0}))
    assert (ratio.value, ratio.pairs) == (2.0, 1)


def test_without_a_pair_there_is_no_ratio():
    assert paired_ratio(series({(0, 0): 1.0}), series({(1, 0): 1.0})) is None


def test_swapping_inverts_the_ratio_and_keeps_its_width():
    there, back = paired_ratio(ragged(2), ragged(1)), paired_ratio(ragged(1), ragged(2))
    assert there.value == pytest.approx(1 / back.value)
    assert (there.low, there.high) == (pytest.approx(1 / back.high), pytest.approx(1 / back.low))
    assert there.half_width == pytest.approx(back.half_width)
    assert there.p_value == pytest.approx(back.p_value)
    assert (there.pairs, there.freedom) == (back.pairs, back.freedom)


def test_scaling_the_samples_scales_the_ratio():
    plain, scaled = paired_ratio(ragged(2), ragged(1)), paired_ratio(10 * ragged(2), ragged(1) / 3)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((30 * plain.value, 30 * plain.low, 30 * plain.high))


def test_the_order_of_the_samples_does_not_matter():
    shuffled = ragged(2).sample(frac=1, random_state=3)
    assert paired_ratio(shuffled, ragged(1)) == paired_ratio(ragged(2), ragged(1).iloc[::-1])


def ragged(seed: int) -> Series:
    """Processes of 20, 20, 7 and 1 rounds."""
    values = noisy(1.0, seed=seed, processes=4)
    return series({(p, r): value for (p, r), value in values.items() if r < (20, 20, 7, 1)[p]})


def test_the_median_of_uneven_processes_is_over_all_their_pairs():
    ratio = paired_ratio(
        series({(0, 0): 1.0, (1, 0): 8.0, (1, 1): 2.0}), series({(p, r): 1.0 for p in (0, 1) for r in (0, 1)})
    )
    assert (ratio.value, ratio.pairs) == (pytest.approx(2.0), 3)


def test_runs_are_distinguished_if_the_index_names_them():
    index = MultiIndex.from_tuples([("a", 0, 0), ("b", 0, 0)], names=["run_id", "process_index", "round_index"])
    ratio = paired_ratio(Series([2.0, 8.0], index), Series([1.0, 1.0], index))
    assert (ratio.value, ratio.freedom) == (pytest.approx(4.0), 1.0)


def test_samples_that_are_no_numbers_make_no_pairs():
    one = series({(0, 0): 1.0, (0, 1): math.nan, (1, 0): 2.0})
    assert paired_ratio(one, one).pairs == 2
    assert paired_ratio(one * math.nan, one) is None


def test_the_interval_of_a_single_process_is_unbounded():
    ratio = paired_ratio(noisy(1.5, seed=1, processes=1), noisy(1.0, seed=2, processes=1))
    assert (ratio.low, ratio.high, ratio.half_width, ratio.p_value) == (0.0, math.inf, math.inf, 1.0)
    assert ratio.value == pytest.approx(1.5, rel=0.05)


def test_the_half_width_is_the_longer_arm_on_the_log_scale():
    assert Ratio(2.0, 1.9, 2.2, 9).half_width == pytest.approx(math.log(1.1))
    assert Ratio(2.0, 1.6, 2.2, 9).half_width == pytest.approx(math.log(1.25))
    assert Ratio(1.0, 0.97, 1.03, 9).half_width == pytest.approx(0.03, rel=0.02)


def test_the_interval_of_two_processes_is_that_of_student():
    """Student's (1908) t with one degree of freedom: 12.706 standard errors to each side."""
    ratio = paired_ratio(series({(0, 0): math.exp(0.1), (1, 0): math.exp(0.3)}), series({(0, 0): 1.0, (1, 0): 1.0}))
    assert math.log(ratio.value) == pytest.approx(0.2)
    assert math.log(ratio.high) == pytest.approx(0.2 + 12.706 * 0.1, rel=1e-4)
    assert ratio.half_width == pytest.approx(12.706 * 0.1, rel=1e-4)
    assert ratio.p_value == pytest.approx(stats.ttest_1samp([0.1, 0.3], 0).pvalue)


def test_the_interval_of_equal_processes_is_that_of_their_rounds():
    """Student's interval would have zero width here."""
    pairs = {(p, r): math.exp(0.01 * r) for p in range(4) for r in range(9)}
    ratio = paired_ratio(series(pairs), series(dict.fromkeys(pairs, 1.0)))
    assert 0.005 < ratio.half_width < 0.03


@pytest.mark.parametrize("freedom", [1.0, 2.0, 3.7, 30.0])
@pytest.mark.parametrize("edge", [0.97, 1.0, 1.03])
def test_the_p_value_is_below_a_twentieth_where_the_interval_excludes_one(freedom, edge):
    slower, faster = Ratio(2.0, edge, 9.0, 9, freedom), Ratio(0.5, 0.1, edge, 9, freedom)
    assert slower.p_value == pytest.approx(0.05, abs=1e-12 if edge == 1 else 0.05)
    assert (slower.p_value < 0.05) == (edge > 1) or edge == 1
    assert (faster.p_value < 0.05) == (edge < 1) or edge == 1


def test_a_ratio_of_exactly_one_has_a_p_value_of_one():
    assert Ratio(1.0, 1.0, 1.0, 9).p_value == 1.0
    assert Ratio(2.0, 2.0, 2.0, 9).p_value == 0.0


def test_benjamini_and_hochberg_reject_four_of_their_fifteen():
    """Their example (1995), a trial of thrombolysis, at q = 0.05; Bonferroni's correction rejects three."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    adjusted = corrected(p_values)
    assert [p < 0.05 for p in adjusted] == [True] * 4 + [False] * 11
    assert adjusted[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])
    order = np.random.default_rng(0).permutation(15)
    assert corrected([p_values[i] for i in order]) == [adjusted[i] for i in order]
    assert corrected([]) == []


def test_the_noise_floor_is_the_far_end_of_the_twins_interval():
    assert noise_floor(Ratio(1.0, 0.98, 1.03, 9)) == 1.03
    assert noise_floor(Ratio(0.99, 0.95, 1.03, 9)) == pytest.approx(1 / 0.95)
    assert noise_floor(Ratio(1.03, 1.02, 1.05, 9)) == 1.05
    assert noise_floor(Ratio(1.0, 0.0, math.inf, 9)) == math.inf


@pytest.mark.parametrize(
    ("low", "high", "floor", "p", "called"),
    [(1.06, 1.2, 1.05, 0.01, True), (1.04, 1.2, 1.05, 0.01, False), (1.06, 1.2, 1.05, 0.06, False),
     (0.8, 0.95, 1.05, 0.01, True), (0.8, 0.96, 1.05, 0.01, False), (4.0, 5.0, math.inf, 0.0, False)],
)  # fmt: skip
def test_a_difference_needs_an_interval_beyond_the_floor_and_a_small_p_value(low, high, floor, p, called):
    assert differs(Ratio(math.sqrt(low * high), low, high, 9), floor, p) is called


def experiment(rng: np.random.Generator, processes: range, rounds: int, apart: float) -> tuple[Series, Series]:
    """Samples of two cells of equal time under a common load; `apart` is the spread between their processes."""
    index = MultiIndex.from_product([processes, range(rounds)], names=["process_index", "round_index"])
    load, own = rng.lognormal(0, 0.5, len(index)), np.repeat(rng.lognormal(0, apart, len(processes)), rounds)
    one, other = rng.lognormal(0, SPREAD / math.sqrt(2), (2, len(index)))
    return Series(load * own * one, index), Series(load * other, index)


def covered(ratios: list[Ratio]) -> int:
    return sum(ratio.low <= 1 <= ratio.high for ratio in ratios)


def least(share: float, n: int) -> int:
    """The 1e-4 quantile of successes in n trials of this probability: one test in ten thousand fails by chance."""
    return int(stats.binom.ppf(1e-4, n, share))


@pytest.mark.parametrize("rounds", [5, ROUNDS])
@pytest.mark.parametrize(
    ("processes", "apart", "share"),
    [(2, 0.0, 0.99), (3, 0.0, 0.985), (5, 0.0, 0.985), (8, 0.0, 0.985),
     (2, 0.1, 0.945), (3, 0.1, 0.95), (5, 0.1, 0.95), (8, 0.1, 0.945)],
)  # fmt: skip
def test_the_interval_covers_the_true_ratio_as_often_as_it_claims(processes, apart, share, rounds):
    rng = np.random.default_rng(1000 * processes + rounds)
    made = (experiment(rng, range(processes), rounds, apart) for _ in range(400))
    ratios = [paired_ratio(*pair, resamples=200) for pair in made]
    assert covered(ratios) >= least(share, 400)
    assert not apart or covered(ratios) < 400  # the interval is not unbounded either


def test_the_interval_that_ends_the_timing_covers_the_true_ratio_as_often_as_it_claims():
    """Processes are added to three until the half-width is 3 %, as in a run: chance must not end them too soon."""
    rng = np.random.default_rng(9)
    ratios = []
    for _ in range(200):
        one, other = experiment(rng, range(12), ROUNDS, 0.02)
        waves = (paired_ratio(one[: n * ROUNDS], other, resamples=200) for n in range(3, 13))
        ratios.append(next((ratio for ratio in waves if ratio.half_width <= 0.03), None))
    sure = [ratio for ratio in ratios if ratio]
    assert len(sure) > 150
    assert covered(sure) >= least(0.95, len(sure))


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("processes", "apart", "share"), [((3, 3), 0.0, 0.985), ((2, 5), 0.1, 0.93), ((5, 5), 0.1, 0.95)]
)
def test_the_linked_interval_covers_the_true_ratio_as_often_as_it_claims(processes, apart, share):
    rng, ratios = np.random.default_rng(5), []
    for _ in range(400):
        a, of_a = experiment(rng, range(processes[0]), ROUNDS, apart)
        b, of_b = experiment(rng, range(10, 10 + processes[1]), ROUNDS, apart)
        ratios.append(linked_ratio(a, b, [concat([of_a, of_b])], resamples=200))
    assert covered(ratios) >= least(share, 400)


def test_without_a_difference_the_p_value_is_below_a_level_no_more_often_than_that_level():
    rng = np.random.default_rng(6)
    p_values = [paired_ratio(*experiment(rng, range(4), 10, 0.1), resamples=200).p_value for _ in range(400)]
    for level in (0.5, 0.1, 0.05, 0.01):
        assert sum(p < level for p in p_values) <= stats.binom.ppf(1 - 1e-4, 400, level)


@pytest.mark.exhaustive
def test_a_slowdown_by_a_tenth_is_found_and_equal_times_are_not_called_different():
    """Eight processes of 20 rounds with a twin each: 95 of 100 slowdowns are found, and none in equal cells."""
    rng = np.random.default_rng(7)
    called = []
    for _ in range(100):
        twin = paired_ratio(*experiment(rng, range(8), ROUNDS, 0.01))
        slowed, beside = experiment(rng, range(8), ROUNDS, 0.01)
        slower, same = paired_ratio(1.1 * slowed, beside), paired_ratio(*experiment(rng, range(8), ROUNDS, 0.01))
        adjusted = corrected([slower.p_value, same.p_value])
        called.append([differs(*each) for each in zip((slower, same), itertools.repeat(noise_floor(twin)), adjusted)])
    slowdowns, twins = np.sum(called, axis=0)
    assert slowdowns >= 95
    assert twins == 0


def test_linking_removes_the_difference_between_the_groups():
    """The second group is timed on a machine half as fast."""
    rng = np.random.default_rng(8)
    a, of_a = experiment(rng, range(5), ROUNDS, 0.0)
    b, of_b = experiment(rng, range(5, 10), ROUNDS, 0.0)
    tie = concat([of_a, 2 * of_b])
    ratio = linked_ratio(3 * a, 2 * 2 * b, [tie])
    assert ratio.low < 1.5 < ratio.high < 1.6
    back = linked_ratio(2 * 2 * b, 3 * a, [tie])
    assert ratio.value == pytest.approx(1 / back.value)
    assert ratio.half_width > paired_ratio(3 * a, of_a).half_width


def test_the_standard_errors_of_linked_ratios_add_in_squares():
    """Welch (1947): of equal variances and sizes the degrees of freedom add."""
    apart, later = ({(first + p, 0): math.exp(0.1 * p) for p in range(3)} for first in (0, 10))
    flat = dict.fromkeys([*apart, *later], 1.0)
    single = paired_ratio(series(apart), series(flat))
    linked = linked_ratio(series(apart), series(later), [series(flat)])
    assert (single.freedom, linked.freedom) == (2.0, pytest.approx(4.0))
    expected = stats.t.ppf(0.975, 4) * math.sqrt(2) * 0.1 / math.sqrt(3)
    assert linked.half_width == pytest.approx(expected, rel=1e-6)
    assert linked.value == pytest.approx(1.0)


def test_nothing_is_linked_without_a_chain_of_shared_rounds():
    a, b, elsewhere = (series({(process, 0): 1.0}) for process in (0, 1, 7))
    assert linked_ratio(a, b, []) is linked_ratio(a, b, [a, elsewhere]) is None


def test_the_shortest_chain_of_links_is_taken_however_many_links_it_needs():
    """Each link has twice the time of the link before it; a longer chain would give another ratio."""
    steps = [series({(p, r): 2.0**k for p in (k, k + 1) for r in range(3)}) for k in range(4)]
    longer = [series({(p, r): p + 1.0 for p in pair for r in range(3)}) for pair in ((0, 9), (9, 8), (8, 4))]
    assert linked_ratio(steps[0], steps[3], [*longer, *steps[1:3]]).value == pytest.approx(1 / 8)
    assert linked_ratio(steps[3], steps[0], steps[1:3]).value == pytest.approx(8)
