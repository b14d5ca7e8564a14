"""Step size control: the functions of the controller alone, without a solve."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from node import SOLVERS, FixedStep, PIDController, solve
from node.controller import LEAST_MEMORY, rms_norm
from node.user_field import UserField
from tests.support.estimates import tolerance_for
from tests.support.families import PRECISE

# P, I, D: the elementary controller; Gustafsson's PI; a PID, and the same with a negative D.
COEFFICIENTS = {"I": (0.0, 1.0, 0.0), "PI": (0.4, 0.3, 0.0), "PID": (0.2, 0.4, 0.1), "PID, D < 0": (0.2, 0.4, -0.1)}
every_filter = pytest.mark.parametrize("coefficients", COEFFICIENTS.values(), ids=COEFFICIENTS)
every_order = pytest.mark.parametrize("order", [2, 3, 5, 8])
RATIOS = [5e-324, 1e-12, 1e-3, 0.5, 0.999, 1.0, 1.001, 2.0, 1e3, 1e12]
MEMORIES = [(1.0, 1.0), (1e-9, 1.0), (1.0, 1e-9), (0.3, 0.7), (LEAST_MEMORY, LEAST_MEMORY)]


def controller(coefficients: tuple[float, float, float] = (0.0, 1.0, 0.0), **changed: object) -> PIDController:
    return replace(PIDController(rtol=1e-3, atol=1e-6, coefficients=coefficients), **changed)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_error_ratio_is_the_rms_of_the_error_over_atol_plus_rtol_times_the_larger_state() -> None:
    """Hairer, Norsett & Wanner (1993), eq. II.4.10-11."""
    control = PIDController(rtol=0.1, atol=0.5)
    error, y0, y1 = vector(3.0, -4.0), vector(10.0, -15.0), vector(-25.0, 5.0)
    expected = math.sqrt(((3 / (0.5 + 2.5)) ** 2 + (4 / (0.5 + 1.5)) ** 2) / 2)
    assert control.error_ratio(error, y0, y1) == pytest.approx(expected, rel=1e-15)
    assert control.error_ratio(error, y1, y0) == control.error_ratio(error, y0, y1)
    assert control.error_ratio(-error, -y0, y1) == control.error_ratio(error, y0, y1)


def test_error_ratio_does_not_change_its_arguments() -> None:
    error, y0, y1 = vector(3.0, -4.0), vector(1.0, 2.0), vector(3.0, 4.0)
    before = [x.clone() for x in (error, y0, y1)]
    for atol in (0.0, 1.0):
        PIDController(rtol=1.0, atol=atol).error_ratio(error, y0, y1)
    assert all(torch.equal(x, copy) for x, copy in zip((error, y0, y1), before, strict=True))


def test_error_ratio_is_one_where_the_error_equals_the_tolerance() -> None:
    y = vector(1.0, -20.0, 300.0)
    control = PIDController(rtol=1e-3, atol=1e-4)
    assert control.error_ratio(1e-4 + 1e-3 * y.abs(), y, y) == pytest.approx(1.0, rel=1e-15)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_error_or_state_that_is_not_finite_is_not_accepted(bad: float) -> None:
    good, ill = vector(1.0, 2.0), vector(1.0, bad)
    control = controller()
    for ratio in (control.error_ratio(ill, good, good), control.error_ratio(ill, good, ill)):
        assert not control.judge(ratio, 0.1, (1.0, 1.0), 5).accepted


def test_error_ratio_without_atol_counts_an_entry_at_rest_as_without_error() -> None:
    control = PIDController(rtol=1e-2, atol=0.0)
    at_rest, moved = vector(0.0, 1.0), vector(0.0, 1.0)
    assert control.error_ratio(vector(0.0, 0.01), at_rest, moved) == pytest.approx(math.sqrt(1 / 2))
    assert control.error_ratio(vector(1e-9, 0.01), at_rest, moved) > 1e6


def test_error_ratio_is_measured_in_the_given_norm() -> None:
    largest = controller(norm=lambda x: x.abs().max(), rtol=0.0, atol=1.0)
    assert largest.error_ratio(vector(3.0, -4.0), vector(0.0, 0.0), vector(0.0, 0.0)) == 4.0


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3), (0, 3)], ids=str)
def test_rms_norm_over_the_last_dimension_of_equal_entries_is_their_absolute_value(shape: tuple[int, ...]) -> None:
    norm = rms_norm(torch.full(shape, -2.5, dtype=torch.float64))
    torch.testing.assert_close(torch.as_tensor(norm, dtype=torch.float64), torch.full(shape[:-1], 2.5).double())


@every_order
@every_filter
def test_a_step_is_accepted_where_the_error_is_within_the_tolerance(
    coefficients: tuple[float, float, float], order: int
) -> None:
    control = controller(coefficients)
    for memory in MEMORIES:
        assert [control.judge(ratio, 0.1, memory, order).accepted for ratio in RATIOS] == [r <= 1.0 for r in RATIOS]


@pytest.mark.parametrize("dt", [0.3, -0.3])
@every_order
@every_filter
def test_step_factors_stay_within_their_limits_and_are_positive(
    coefficients: tuple[float, float, float], order: int, dt: float
) -> None:
    control = controller(coefficients, factor_min=0.25, factor_max=4.0)
    for memory in MEMORIES:
        for ratio in [0.0, *RATIOS, math.inf, math.nan]:
            factor = control.judge(ratio, dt, memory, order).dt / dt
            assert 0.25 * (1 - 1e-12) <= factor <= 4.0 * (1 + 1e-12)


@every_order
@every_filter
def test_a_rejected_step_is_followed_by_a_smaller_step_and_an_accepted_step_is_not(
    coefficients: tuple[float, float, float], order: int
) -> None:
    control = controller(coefficients)
    for memory in MEMORIES:
        for ratio in RATIOS:
            verdict = control.judge(ratio, 0.1, memory, order)
            if verdict.accepted:
                assert verdict.dt >= 0.1
            else:
                assert verdict.dt <= 0.1 * control.safety


@every_filter
def test_memory_holds_the_last_two_accepted_ratios(coefficients: tuple[float, float, float]) -> None:
    control = controller(coefficients)
    assert control.judge(0.4, 0.1, (0.7, 0.9), 5).memory == (0.4, 0.7)
    assert control.judge(1.4, 0.1, (0.7, 0.9), 5).memory == (0.7, 0.9)
    assert control.judge(math.nan, 0.1, (0.7, 0.9), 5).memory == (0.7, 0.9)


@pytest.mark.parametrize("ratio", [math.nan, math.inf])
def test_a_step_that_is_not_finite_is_followed_by_the_smallest_allowed_step(ratio: float) -> None:
    verdict = controller(factor_min=0.3).judge(ratio, 0.1, (1.0, 1.0), 5)
    assert not verdict.accepted
    assert verdict.dt == pytest.approx(0.03)


@pytest.mark.parametrize("coefficients", [*COEFFICIENTS.values(), (3.0, 4.0, 5.0)])
@pytest.mark.parametrize("ratio", [5e-324, 1e-310, 1e-200, 1e-30])
def test_a_step_with_almost_no_error_is_followed_by_the_largest_allowed_step(
    ratio: float, coefficients: tuple[float, float, float]
) -> None:
    assert controller(coefficients).judge(ratio, 0.1, (1.0, 1.0), 5).dt == pytest.approx(1.0)


@every_filter
def test_a_step_without_error_is_followed_by_the_largest_allowed_step(
    coefficients: tuple[float, float, float],
) -> None:
    verdict = controller(coefficients, factor_max=7.0).judge(0.0, 0.1, (1.0, 1.0), 5)
    assert verdict.accepted
    assert verdict.dt == pytest.approx(0.7)
    after = controller(coefficients).judge(0.5, 0.1, verdict.memory, 5)
    assert 0.1 <= after.dt <= 1.0, "a remembered error of 0 has a power too"


@every_order
@pytest.mark.parametrize("integral", [0.3, 0.7, 1.0])
def test_pi_with_no_p_is_i(integral: float, order: int) -> None:
    """dt_next = dt safety r^(-I/k), whatever the ratios before."""
    control = controller((0.0, integral, 0.0), factor_min=1e-9, factor_max=1e9)
    for ratio in (1e-6, 1e-3, 2.0, 1e3):
        factors = {control.judge(ratio, 1.0, memory, order).dt for memory in MEMORIES}
        assert len(factors) == 1
        expected = 0.9 * ratio ** (-integral / order)
        assert factors.pop() == pytest.approx(max(1.0, expected) if ratio <= 1 else expected, rel=1e-14)


@every_order
@every_filter
def test_at_a_constant_error_the_step_depends_on_the_integral_part_alone(
    coefficients: tuple[float, float, float], order: int
) -> None:
    """P and D act on changes: with r_n = r_(n-1) = r_(n-2) they cancel."""
    control = controller(coefficients, factor_max=1e9)
    for ratio in (1e-8, 1e-6):
        factor = control.judge(ratio, 1.0, (ratio, ratio), order).dt
        assert factor == pytest.approx(max(1.0, 0.9 * ratio ** (-coefficients[1] / order)), rel=1e-12)


@every_order
def test_pi_takes_smaller_steps_than_i_after_a_rising_error_and_larger_steps_after_a_falling_error(order: int) -> None:
    i, pi = controller((0.0, 0.3, 0.0)), controller((0.4, 0.3, 0.0))
    rising, falling = (1e-7, 1e-7), (1e-5, 1e-5)
    assert pi.judge(1e-6, 1.0, rising, order).dt < i.judge(1e-6, 1.0, rising, order).dt
    assert pi.judge(1e-6, 1.0, falling, order).dt > i.judge(1e-6, 1.0, falling, order).dt


@pytest.mark.parametrize("dt", [1e-3, 1.0, 5.0])
@every_order
@every_filter
def test_the_step_converges_to_an_error_within_the_tolerance(
    coefficients: tuple[float, float, float], order: int, dt: float
) -> None:
    """With errors r = C dt^k, as the controller assumes, the ratio converges to a value between safety^(k/I) and 1."""
    control, memory = controller(coefficients), (1.0, 1.0)
    for _ in range(200):
        ratio = 3.0 * abs(dt) ** order
        dt, memory = control.judge(ratio, dt, memory, order)[1:3]
    settled = 3.0 * abs(dt) ** order
    assert 0.9 ** (order / coefficients[1]) * (1 - 1e-9) <= settled <= 1.0


@every_order
def test_the_elementary_controller_converges_in_one_step(order: int) -> None:
    """The next ratio is safety^k if no limit of the factors is reached."""
    control = controller(factor_min=1e-9, factor_max=1e9)
    for dt in (1e-3, 5.0):
        after = control.judge(3.0 * dt**order, dt, (1.0, 1.0), order).dt
        assert 3.0 * after**order == pytest.approx(0.9**order, rel=1e-9)


def first_step(control: PIDController, rate: float, y0: Tensor, t: tuple[float, float], order: int = 5) -> float:
    f = UserField.of(lambda t, y: rate * y, y0)
    dt = control.initial_dt(f, *t, y0, rate * y0, order)
    assert f.calls == (1 if control.first_step is None else 0)
    return dt


@every_order
@pytest.mark.parametrize("rate", [-0.5, 3.0, 200.0])
def test_the_first_step_of_a_linear_field_is_that_of_hairers_algorithm(rate: float, order: int) -> None:
    """y' = lambda y: h0 = 0.01 / lambda, d2 = lambda d1, h1 = (0.01 / max(d1, d2))^(1/k); HNW (1993), II.4."""
    y0 = vector(1.0, -2.0)
    d1 = abs(rate) * rms_norm(y0 / (1e-6 + 1e-3 * y0.abs()))
    expected = min(100 * 0.01 / abs(rate), (0.01 / max(d1, abs(rate) * d1)) ** (1 / order))
    assert first_step(controller(), rate, y0, (0.0, 9.0), order) == pytest.approx(expected, rel=1e-6)


def test_the_first_step_has_the_sign_of_the_direction_of_time() -> None:
    y0 = vector(1.0, -2.0)
    assert first_step(controller(), 3.0, y0, (0.0, -9.0)) < 0 < first_step(controller(), 3.0, y0, (0.0, 9.0))
    given = controller(first_step=0.25)
    assert first_step(given, 3.0, y0, (0.0, -9.0)) == -0.25
    assert first_step(given, 3.0, y0, (0.0, 9.0)) == 0.25


@pytest.mark.parametrize("unit", [1e-4, 1e3])
def test_the_first_step_does_not_depend_on_the_unit_of_the_state(unit: float) -> None:
    y0 = vector(1.0, -2.0)
    unscaled = first_step(controller(), 3.0, y0, (0.0, 9.0))
    scaled = first_step(controller(atol=1e-6 * unit), 3.0, unit * y0, (0.0, 9.0))
    assert scaled == pytest.approx(unscaled, rel=1e-6)


@pytest.mark.parametrize("y0", [vector(0.0, 0.0), vector(0.0, 1.0)], ids=["at rest", "partly at rest"])
@pytest.mark.parametrize("atol", [0.0, 1e-6])
def test_the_first_step_from_rest_is_finite_and_positive(y0: Tensor, atol: float) -> None:
    for f in (lambda t, y: torch.zeros_like(y), lambda t, y: torch.ones_like(y), lambda t, y: y):
        field = UserField.of(f, y0)
        dt = controller(atol=atol).initial_dt(field, 0.0, 1.0, y0, field(0.0, y0), 5)
        assert 0 < dt < math.inf


@pytest.mark.parametrize("name", [name for name in SOLVERS if SOLVERS[name].adaptive])
def test_the_first_step_chosen_is_accepted_on_a_smooth_problem(name: str) -> None:
    solution = solve(
        lambda t, y: -y, vector(1.0, 2.0), vector(0.0, 1e-3), solver=name, controller=controller()
    ).require_success()
    assert solution.stats.n_rejected == 0


@every_filter
@pytest.mark.parametrize("name", PRECISE)
def test_a_solve_keeps_the_tolerance_with_every_filter(name: str, coefficients: tuple[float, float, float]) -> None:
    t = vector(0.0, 3.0)
    tolerance = tolerance_for(name, 1e-4)
    how = {"solver": name, "controller": PIDController(rtol=tolerance, atol=tolerance, coefficients=coefficients)}
    y = solve(lambda t, y: y * torch.cos(t), vector(1.0), t, **how).require_success().y
    assert y[-1].item() == pytest.approx(math.exp(math.sin(3.0)), abs=50 * 1e-4)


def test_a_controller_says_whether_it_needs_an_error_estimate() -> None:
    assert controller().adaptive
    assert not FixedStep(dt=0.1).adaptive
