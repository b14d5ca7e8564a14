import math

import numpy as np
import pytest
from pandas import MultiIndex, Series

from reports.statistics import fitted_order, median, paired_ratio, running_median


def series(values: dict[tuple[int, int], float]) -> Series:
    index = MultiIndex.from_tuples(values, names=["process_index", "round_index"])
    return Series(list(values.values()), index=index)


def noisy(median_s: float, *, seed: int, processes: int = 3, rounds: int = 20) -> Series:
    """Samples whose rounds share a load, as interleaved ones do: the load depends on the round only."""
    rng, load = np.random.default_rng(seed), np.random.default_rng(0).lognormal(0, 0.5, (processes, rounds))
    own = rng.lognormal(0, 0.02, (processes, rounds))
    return series({(p, r): median_s * load[p, r] * own[p, r] for p in range(processes) for r in range(rounds)})


def test_the_median_ignores_what_is_not_a_number():
    assert median([3.0, math.nan, 1.0, 2.0]) == 2.0
    assert math.isnan(median([]))
    assert math.isnan(median([math.nan]))
    assert median([1.0, math.inf, math.inf]) == math.inf


def test_a_running_median_takes_out_spikes_and_keeps_the_course():
    course = [float(i) for i in range(200)]
    spiked = [value + 1000 * (i % 7 == 0) for i, value in enumerate(course)]
    smooth = running_median(spiked)
    assert len(smooth) == len(course)
    assert max(abs(a - b) for a, b in zip(smooth, course, strict=True)) < 10
    assert running_median([3.0, 1.0]) == [3.0, 1.0]
    assert running_median([]) == []


def test_a_constant_ratio_has_an_interval_of_no_width():
    denominator = series({(0, 0): 1.0, (0, 1): 5.0, (1, 0): 2.0})
    ratio = paired_ratio(3 * denominator, denominator)
    assert (ratio.value, ratio.low, ratio.high, ratio.pairs) == (3.0, 3.0, 3.0, 3)


def test_pairing_takes_out_the_load_that_both_share():
    one, two = noisy(1.0, seed=1), noisy(2.0, seed=2)
    ratio = paired_ratio(two, one)
    assert ratio.low < 2.0 < ratio.high
    assert ratio.high / ratio.low < 1.05
    assert one.max() / one.min() > 2


def test_equal_workloads_are_not_told_apart():
    ratio = paired_ratio(noisy(1.0, seed=1), noisy(1.0, seed=2))
    assert ratio.low <= 1 <= ratio.high


def test_swapping_the_two_inverts_the_interval():
    one, two = noisy(1.0, seed=1), noisy(1.3, seed=2)
    there, back = paired_ratio(two, one), paired_ratio(one, two)
    assert there.value * back.value == pytest.approx(1, rel=1e-3)
    assert there.low * back.high == pytest.approx(1, rel=1e-2)


def test_the_interval_is_the_same_every_time():
    assert paired_ratio(noisy(2.0, seed=1), noisy(1.0, seed=2)) == paired_ratio(noisy(2.0, seed=1), noisy(1.0, seed=2))


def test_processes_that_disagree_widen_the_interval():
    rounds = {(p, r): 1.0 for p in range(4) for r in range(50)}
    apart = {(p, r): 1.0 + 0.2 * p for p, r in rounds}
    ratio = paired_ratio(series(apart), series(rounds))
    assert (ratio.low, ratio.high) == (pytest.approx(1.0, abs=0.11), pytest.approx(1.6, abs=0.11))


def test_only_rounds_of_both_are_pairs():
    ratio = paired_ratio(series({(0, 0): 2.0, (0, 1): 9.0}), series({(0, 0): 1.0, (1, 0): 1.0}))
    assert (ratio.value, ratio.pairs) == (2.0, 1)


def test_without_a_pair_there_is_no_ratio():
    assert paired_ratio(series({(0, 0): 1.0}), series({(1, 0): 1.0})) is None


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_the_order_of_an_exact_power_law_is_found(order):
    dt = [0.5, 0.25, 0.125, 0.0625]
    fitted = fitted_order(dt, [10 * step**order for step in dt], dtype="float64")
    assert fitted.slope == pytest.approx(order)
    assert (fitted.points, fitted.left_out) == (3, 1)


def test_rounding_zeros_and_overflow_are_left_out_and_counted():
    dt = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625]
    errors = [0.5**4, 0.25**4, 0.125**4, 3e-16, 0.0, math.inf]
    fitted = fitted_order(dt, errors, dtype="float64")
    assert fitted.slope == pytest.approx(4)
    assert (fitted.points, fitted.left_out) == (3, 3)


def test_coarse_steps_do_not_bend_the_order():
    dt = [0.0625, 1.0, 0.125, 0.5, 0.25]
    errors = [step**4 if step < 0.5 else 7.0 for step in dt]
    fitted = fitted_order(dt, errors, dtype="float64")
    assert fitted.slope == pytest.approx(4)
    assert (fitted.points, fitted.left_out) == (3, 2)


def test_single_precision_has_a_higher_floor():
    dt = [0.5, 0.25, 0.125]
    errors = [0.5**2, 0.25**2, 1e-6]
    assert fitted_order(dt, errors, dtype="float32").points == 2
    assert fitted_order(dt, errors, dtype="float64").points == 3


@pytest.mark.parametrize(("dt", "errors"), [([], []), ([0.5], [0.1]), ([0.5, 0.5], [0.1, 0.2]), ([0.5, 0.25], [0, 0])])
def test_no_order_comes_of_fewer_than_two_steps(dt, errors):
    assert math.isnan(fitted_order(dt, errors, dtype="float64").slope)
