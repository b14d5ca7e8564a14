"""Gradients: exact for the computed solution, true to the tolerance, and equal to torchdiffeq's."""

import math

import pytest
import torch
import torchdiffeq
from torch import Tensor

from node import ADJOINTS, SOLVERS, FixedStep, PIDController, solve
from node.solvers import Solver
from tests.support.estimates import tolerance_for
from tests.support.families import MULTISTEP
from tests.support.gradients import (
    NET_T,
    NET_Y0,
    SPIRAL_T,
    SPIRAL_Y0,
    TOLERANCE,
    Growth,
    Net,
    Spiral,
    every_adaptive_solver,
    every_gradient,
    every_precise_solver,
    every_solver,
    gradient_of,
    mean_abs,
    relative_error,
    tensor,
)


@pytest.fixture(scope="module")
def spiral_truth() -> tuple[Tensor, ...]:
    """The gradient at 1e-12 by backprop, checked by the adjoint, which shares no code with it but the steps."""
    tight = {"solver": "dopri8", "controller": PIDController(rtol=1e-12, atol=1e-12)}
    truth = gradient_of(mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T, gradient="backprop", **tight)
    other = gradient_of(mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T, gradient="adjoint", **tight)
    assert relative_error(other, truth) < 2e-9
    return truth


@pytest.fixture(scope="module")
def net_truth() -> tuple[Tensor, ...]:
    tight = {"solver": "dopri8", "controller": FixedStep(dt=1 / 96)}
    truth = gradient_of(mean_abs, Net(), NET_Y0, NET_T, gradient="backprop", **tight)
    other = gradient_of(mean_abs, Net(), NET_Y0, NET_T, gradient="adjoint", **tight)
    assert relative_error(other, truth) < 1e-13
    return truth


def order_of(gradient: str, solver: Solver) -> int:
    """The order of the gradient's error: the interpolating adjoint reads y(t) to O(dt^(dense_order + 1))."""
    return min(solver.order, solver.dense_order + 1) if gradient == "interpolating" else solver.order


@pytest.mark.parametrize("times", [(0.0, 0.2, 0.33, 0.61, 0.8), (0.8, 0.55, 0.0)], ids=["forwards", "backwards"])
@every_solver
def test_backprop_is_the_gradient_of_the_computed_solution(solver: Solver, times: tuple[float, ...]) -> None:
    """Backprop equals finite differences in y0 and in a parameter, at outputs within steps and at their ends."""

    def states(y0: Tensor, p: Tensor) -> Tensor:
        def f(t: Tensor, y: Tensor) -> Tensor:
            return torch.sin(y @ p) * torch.cos(t) - y**2 / 2

        return solve(f, y0, tensor(*times), solver=solver, controller=FixedStep(dt=0.2), gradient="backprop").y

    y0 = tensor(0.9, -0.4).requires_grad_()
    p = torch.tensor([[0.3, -1.1], [0.8, 0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(states, (y0, p))


@every_solver
def test_backprop_can_be_differentiated_twice(solver: Solver) -> None:
    def end(y0: Tensor) -> Tensor:
        t, controller = tensor(0.0, 0.5), FixedStep(dt=0.25)
        return solve(lambda t, y: -(y**2), y0, t, solver=solver, controller=controller, gradient="backprop").y[-1]

    assert torch.autograd.gradgradcheck(end, (tensor(0.9).requires_grad_(),))


@pytest.mark.parametrize("gradient", ADJOINTS)
@every_precise_solver
def test_gradient_error_falls_with_the_tolerance(name: str, gradient: str, spiral_truth: tuple[Tensor, ...]) -> None:
    loose, tight = (
        (1e-4, 1e-5) if SOLVERS[name].order < 3 else (1e-3, 1e-5) if SOLVERS[name].order < 4 else (1e-5, 1e-7)
    )
    errors = [
        relative_error(
            gradient_of(
                mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T,
                solver=name, gradient=gradient,
                controller=PIDController(rtol=tolerance_for(name, tolerance), atol=tolerance_for(name, tolerance)),
            ),
            spiral_truth,
        )
        for tolerance in (loose, tight)
    ]  # fmt: skip
    assert errors[1] < errors[0] * (tight / loose) ** 0.6
    assert errors[1] < 2000 * tight


@every_gradient
@every_solver
def test_gradient_error_falls_with_the_fixed_step_with_the_order_of_the_solver(
    solver: Solver, gradient: str, net_truth: tuple[Tensor, ...]
) -> None:
    """Outputs are ends of steps; the rounding of so few steps is about 1e-13."""
    errors = [
        relative_error(
            gradient_of(mean_abs, Net(), NET_Y0, NET_T, solver=solver, controller=FixedStep(dt=dt), gradient=gradient),
            net_truth,
        )
        for dt in ((1 / 128, 1 / 256) if solver.name in MULTISTEP else (1 / 12, 1 / 24))
    ]
    assert errors[1] < max(errors[0] / 2 ** (order_of(gradient, solver) - 0.3), 1e-12)


@pytest.mark.parametrize("name", ["bosh3", "dopri5", "dopri8"])
@every_gradient
def test_gradient_equals_torchdiffeqs_within_some_tolerances(name: str, gradient: str) -> None:
    """Node and torchdiffeq solve at a tolerance of 1e-8."""
    net, y0, t = Net(), NET_Y0, NET_T
    ours = gradient_of(mean_abs, net, y0, t, solver=name, controller=TOLERANCE, gradient=gradient)
    theirs_y0 = y0.clone().requires_grad_()
    odeint = torchdiffeq.odeint if gradient == "backprop" else torchdiffeq.odeint_adjoint
    # torchdiffeq interpolates its outputs, with an error beyond the tolerance: `step_t` makes its steps end on them.
    y = odeint(net, theirs_y0, t, rtol=1e-8, atol=1e-8, method=name, options={"step_t": t})
    theirs = torch.autograd.grad(y.abs().mean(), (theirs_y0, net.inner, net.outer))
    assert relative_error(ours, theirs) < 1e-6


@pytest.mark.parametrize(("node_name", "name"), [("euler", "euler"), ("midpoint", "midpoint"), ("rk4_38", "rk4")])
def test_backprop_through_fixed_steps_equals_torchdiffeqs_to_rounding(node_name: str, name: str) -> None:
    net, y0, t = Net(), NET_Y0, NET_T
    ours = gradient_of(mean_abs, net, y0, t, solver=node_name, controller=FixedStep(dt=0.125), gradient="backprop")
    theirs_y0 = y0.clone().requires_grad_()
    y = torchdiffeq.odeint(net, theirs_y0, t, method=name, options={"step_size": 0.125})
    theirs = torch.autograd.grad(y.abs().mean(), (theirs_y0, net.inner, net.outer))
    assert relative_error(ours, theirs) < 1e-14


@pytest.mark.parametrize("t_end", [1.0, 3.0])
@every_gradient
@every_adaptive_solver
def test_gradients_of_linear_growth_are_those_of_the_formula(name: str, gradient: str, t_end: float) -> None:
    """L = z(T)^2: dL/dz0 = 2 z0 exp(2 alpha T), dL/dalpha = 2 T z0^2 exp(2 alpha T).

    Steps are O(tolerance^(1/k)), so an error of order p is O(tolerance^(p/k)), which is larger for p < k (fehlberg45).
    """
    tolerance = 1e-5 if SOLVERS[name].order < 3 else 1e-8
    rel = 50 * tolerance ** (order_of(gradient, SOLVERS[name]) / SOLVERS[name].error_order)
    z0, alpha = 1.3, 0.7
    found = gradient_of(
        lambda z: z[-1].square().sum(), Growth(), torch.tensor(z0, dtype=torch.float64), tensor(0.0, t_end),
        solver=name, controller=PIDController(rtol=tolerance_for(name, tolerance), atol=tolerance_for(name, tolerance)),
        gradient=gradient,
    )  # fmt: skip
    growth = math.exp(2 * alpha * t_end)
    assert found[0].item() == pytest.approx(2 * z0 * growth, rel=rel)
    assert found[1].item() == pytest.approx(2 * t_end * z0**2 * growth, rel=rel)
