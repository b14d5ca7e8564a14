"""The median, the running median and the fitted order of convergence."""

import math

import pytest

from results.statistics.ratio import fitted_order, median, running_median


def test_the_median_ignores_what_is_not_a_number():
    assert median([3.0, math.nan, 1.0, 2.0]) == 2.0
    assert math.isnan(median([]))
    assert math.isnan(median([math.nan]))
    assert median([1.0, math.inf, math.inf]) == math.inf


def test_a_running_median_removes_spikes_and_keeps_the_trend():
    course = [float(i) for i in range(200)]
    spiked = [value + 1000 * (i % 7 == 0) for i, value in enumerate(course)]
    smooth = running_median(spiked)
    assert len(smooth) == len(course)
    assert max(abs(a - b) for a, b in zip(smooth, course, strict=True)) < 10
    assert running_median([3.0, 1.0]) == [3.0, 1.0]
    assert running_median([]) == []


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


def test_coarse_steps_do_not_change_the_fitted_order():
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
def test_fewer_than_two_steps_have_no_order(dt, errors):
    assert math.isnan(fitted_order(dt, errors, dtype="float64").slope)
