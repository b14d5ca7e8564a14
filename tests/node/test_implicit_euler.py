"""Implicit Euler: the equation of its step, its error estimate, and steps whose equation has no solution."""

import math

import torch
from torch import Tensor

from node import FixedStep, PIDController, Status, solve
from node.jacobian import linearise
from node.solvers.implicit.implicit_euler import IMPLICIT_EULER
from node.user_field import UserField
from tests.support.gradients import tensor
from tests.support.stiffs import one_step, van_der_pol


def test_implicit_euler_solves_its_equation_to_rounding() -> None:
    f = UserField.of(van_der_pol, tensor(2.0, 0.0))
    for dt in (1e-3, 1.0, 100.0):
        y1 = one_step(IMPLICIT_EULER, f, 0.0, tensor(2.0, 0.0), dt)
        matrix = torch.eye(2, dtype=torch.float64) - dt * linearise(f, dt, y1, solver="").dy
        change = torch.linalg.solve(matrix, tensor(2.0, 0.0) + dt * f(dt, y1) - y1)
        assert change.abs().max() < 1e-15 * y1.abs().max()


def test_newtons_iteration_stops_at_the_rounding_of_f() -> None:
    """f has a rounding of 1e-10, which no iteration can reduce, in a step that changes y by 1e-9."""
    calls, y = [], tensor(1.0, 2.0)

    def rough(t: Tensor, y: Tensor) -> Tensor:
        calls.append(t)
        return -1e-9 * y + 1e-10 * torch.sin(1e13 * y.detach())

    y1 = one_step(IMPLICIT_EULER, UserField.of(rough, y), 0.0, y, 1.0)
    torch.testing.assert_close(y1, (1 - 1e-9) * y, rtol=1.1e-10, atol=0)
    assert len(calls) < 10


def test_the_carried_slope_is_not_magnified_by_the_stiffness() -> None:
    """y1 has a rounding error of 1e-16, which f(t1, y1) would multiply by 1e12 to an error of 1e-4."""
    y = torch.linspace(0.3, 1.7, 8, dtype=torch.float64)
    f = UserField.of(lambda t, z: -1e12 * (z - y * torch.exp(t)) + y * torch.exp(t), y)
    workspace = IMPLICIT_EULER.workspace(y, record=False)
    y1, _, carry, _ = IMPLICIT_EULER.step(f, 0.0, y, 0.1, IMPLICIT_EULER.start(f, 0.0, y), workspace, estimate=True)
    torch.testing.assert_close(y1, y * math.exp(0.1), rtol=1e-12, atol=0)
    torch.testing.assert_close(carry, y * math.expm1(0.1) / 0.1, rtol=1e-11, atol=0)


def test_the_error_estimate_has_the_sign_of_the_error() -> None:
    f, y = UserField.of(lambda t, y: -2 * y, tensor(1.0, 3.0)), tensor(1.0, 3.0)
    workspace = IMPLICIT_EULER.workspace(y, record=False)
    step = IMPLICIT_EULER.step(f, 0.0, y, 1e-3, IMPLICIT_EULER.start(f, 0.0, y), workspace, estimate=True)
    torch.testing.assert_close(step.error, step.y1 - math.exp(-2e-3) * y, rtol=5e-3, atol=0)


def test_an_equation_without_a_solution_fails_its_own_sample_only() -> None:
    """y1 = y + dt y1^2 has no solution for 4 dt y > 1; a sample at rest stays at rest."""
    y = tensor(1.0, 0.1, 0.0).view(3, 1)
    y1 = one_step(
        IMPLICIT_EULER, UserField.of(lambda t, y: y * y, y, samples=True), torch.zeros_like(y), y, torch.ones_like(y)
    )
    assert y1[0].isnan()
    torch.testing.assert_close(y1[1:, 0], tensor((1 - math.sqrt(0.6)) / 2, 0.0))


def test_a_step_whose_equation_has_no_solution_is_rejected_or_ends_a_fixed_solve() -> None:
    y0, t = tensor(1.0), tensor(0.0, 0.5)

    def squared(t: Tensor, y: Tensor) -> Tensor:
        return y * y

    tried = solve(squared, y0, t, solver=IMPLICIT_EULER, controller=PIDController(rtol=1e-3, atol=1e-3, first_step=0.5))
    assert tried.require_success().stats.n_rejected > 0
    torch.testing.assert_close(tried.y[-1], tensor(2.0), rtol=0.1, atol=0)
    fixed = solve(squared, y0, t, solver=IMPLICIT_EULER, controller=FixedStep(0.5))
    assert fixed.status is Status.non_finite
    never = solve(lambda t, y: math.nan * y, y0, t, solver=IMPLICIT_EULER, controller=FixedStep(0.5))
    assert never.status is Status.non_finite
    assert never.stats.nfe_forward < 5
