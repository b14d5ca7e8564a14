"""Change points by E-divisive: the statistic by its definition, what is found and what is not, and steps."""

import math
from itertools import combinations, product

import numpy as np
import pytest

from results.statistics.change_points import LEAST_CHANGE, LEAST_RUNS, LEAST_VALUES, change_points, divergence, steps

NUMBERS = [0.1, 0.5, 0.2, 0.4, 1.3, 1.1, 1.6, 1.2, 0.3, 2.0]
RUNS, MIDDLE = 40, 20


def noise(kind: str, seed: int, spread: float = 0.03) -> np.ndarray:
    """Forty runs without a change."""
    rng = np.random.default_rng(seed)
    if kind == "heavy tails":
        return np.exp(rng.standard_t(3, RUNS) * spread / math.sqrt(3))
    drift = np.cumsum(rng.normal(0, spread / 20, RUNS)) if kind == "drift" else 0.0
    return np.exp(rng.normal(0, spread, RUNS) + drift)


def shifted(values: np.ndarray, factor: float = 1.05) -> np.ndarray:
    return values * np.where(np.arange(RUNS) < MIDDLE, 1.0, factor)


def by_definition(before: list[float], after: list[float]) -> float:
    """Matteson & James (2014), equations 5 and 6 with alpha = 1."""
    n, m = len(before), len(after)
    between = 2 / (n * m) * sum(abs(x - y) for x, y in product(before, after))
    within = (sum(abs(x - y) for x, y in combinations(each, 2)) / math.comb(len(each), 2) for each in (before, after))
    return n * m / (n + m) * (between - sum(within))


def test_the_statistic_is_the_one_of_the_definition():
    found = divergence(np.array([NUMBERS]))[0]
    splits = range(LEAST_RUNS, len(NUMBERS) - LEAST_RUNS + 1)
    assert found == pytest.approx([by_definition(NUMBERS[:split], NUMBERS[split:]) for split in splits])


def test_the_statistic_is_the_one_of_apache_otava():
    """Apache Otava 0.8.0, PairDistanceCalculator, the column of splits of the whole series."""
    otava = [1.64, 2.504, 1.04, 0.512, -0.52]
    assert divergence(np.array([NUMBERS]))[0] == pytest.approx(otava)


@pytest.mark.parametrize("kind", ["lognormal", "heavy tails", "drift"])
def test_a_shift_of_5_percent_in_40_noisy_runs_is_found_within_3_runs(kind):
    (change,) = change_points(shifted(noise(kind, 1)))
    assert abs(change.index - MIDDLE) <= 3
    assert change.relative == pytest.approx(0.05, abs=0.02)
    assert change.p_value <= 0.01


@pytest.mark.parametrize("kind", ["lognormal", "heavy tails", "drift"])
def test_at_most_one_of_20_flat_series_is_marked(kind):
    assert sum(bool(change_points(noise(kind, seed))) for seed in range(20)) <= 1


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "spread", "least"), [
    ("lognormal", 0.03, 0.8), ("lognormal", 0.02, 0.95), ("heavy tails", 0.03, 0.9), ("drift", 0.03, 0.75),
])  # fmt: skip
def test_of_200_series_few_flat_ones_are_marked_and_most_shifts_are_found(kind, spread, least):
    flat = [noise(kind, seed, spread) for seed in range(200)]
    assert sum(bool(change_points(values)) for values in flat) <= 6
    near = [any(abs(change.index - MIDDLE) <= 3 for change in change_points(shifted(values))) for values in flat]
    assert np.mean(near) > least


def test_several_changes_are_found_in_their_order():
    levels = np.repeat([1.0, 1.2, 0.9], [15, 10, 15])
    changes = change_points(noise("lognormal", 3, 0.01) * levels)
    assert [change.index for change in changes] == [15, 25]
    assert [change.relative for change in changes] == pytest.approx([0.2, -0.25], abs=0.01)


def test_a_clean_shift_shows_in_eleven_runs_and_in_no_fewer():
    before, after = [1.0, 1.01, 0.99, 1.02, 0.98], [1.1, 1.11, 1.09, 1.12, 1.08, 1.13]
    assert [change.index for change in change_points(before + after)] == [5]
    assert change_points(before + after[1:]) == ()
    assert 2 / math.comb(LEAST_VALUES, LEAST_VALUES // 2) < 0.005


def test_one_slow_run_is_no_change():
    values = noise("lognormal", 5, 0.01)
    values[[7, -1]] = 3.0
    assert change_points(values) == ()


def test_a_change_that_is_too_small_to_matter_is_not_called():
    values = noise("lognormal", 6, 0.0005)
    assert change_points(shifted(values, 1 + 0.9 * LEAST_CHANGE)) == ()
    assert len(change_points(shifted(values, 1 + 1.2 * LEAST_CHANGE))) == 1


def test_equal_numbers_give_equal_answers():
    values = shifted(noise("heavy tails", 2))
    assert change_points(values) == change_points(list(values))


@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 30, [0.0] * 30])
def test_what_does_not_vary_has_no_change(values):
    assert change_points(values) == ()


def test_zeros_and_negative_numbers_are_compared_as_they_are():
    values = np.repeat([-1.0, 0.0], [12, 12]) + np.linspace(0, 0.1, 24)
    (change,) = change_points(values)
    assert change.index == 12


def test_an_exact_metric_has_a_step_wherever_its_value_changes():
    assert steps([]) == steps([4.0]) == steps([4.0, 4.0]) == ()
    found = steps([40.0, 40.0, 46.0, 40.0, math.inf, math.inf])
    assert [(one.index, one.before, one.after) for one in found] == [(2, 40, 46), (3, 46, 40), (4, 40, math.inf)]
    assert found[0].relative == pytest.approx(0.15)
    assert math.isnan(found[2].relative)
    assert math.isnan(steps([0.0, 1e-9])[0].relative)
