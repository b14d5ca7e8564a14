"""Outcomes: a solve that fails gives a status with advice and the outputs that were reached, never a silent NaN."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import (
    ADJOINTS,
    SOLVERS,
    ContinuousAdjoint,
    FixedStep,
    NeuralODE,
    PIDController,
    Solution,
    SolveError,
    Stats,
    Status,
    solve,
)
from node.solvers import Solver
from tests.support.estimates import tolerance_for
from tests.support.families import ADAPTIVE, IMPLICIT, ROSENBROCK

TOLERANCE = PIDController(rtol=1e-3, atol=1e-3)
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_adaptive_solver = pytest.mark.parametrize("name", ADAPTIVE)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
every_failure = pytest.mark.parametrize("status", [status for status in Status if status.failed])


def seconds(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def blows_up(t: Tensor, y: Tensor) -> Tensor:
    """y' = y^2, y0 = 1: y = 1 / (1 - t), with a pole at t = 1."""
    return y**2


def is_nan(*values: Tensor) -> bool:
    return all(bool(y.isnan().all()) for y in values)


@every_gradient
@every_adaptive_solver
def test_max_steps_counts_accepted_and_rejected_steps_and_keeps_reached_outputs(name: str, gradient: str) -> None:
    how = {"solver": name, "controller": TOLERANCE, "gradient": gradient, "parameters": ()}
    t = seconds(0.0, 1e-4, 50.0, 100.0)
    solution = solve(lambda t, y: torch.cos(5 * t) * y, seconds(1.0, 2.0), t, max_steps=7, **how)
    assert solution.status is Status.max_steps
    assert solution.stats.n_accepted + solution.stats.n_rejected == 7
    assert torch.equal(solution.y[0], seconds(1.0, 2.0))
    torch.testing.assert_close(solution.y[1], seconds(1.0, 2.0) * math.exp(math.sin(5e-4) / 5), rtol=1e-6, atol=0)
    assert is_nan(solution.y[2], solution.y[3])


@every_gradient
@every_solver
def test_max_steps_ends_a_fixed_solve_after_that_many_steps(solver: Solver, gradient: str) -> None:
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": gradient, "parameters": ()}
    t = seconds(0.0, 0.25, 0.5, 0.75, 1.0)
    cut = solve(lambda t, y: -y, seconds(1.0), t, max_steps=5, **how)
    whole = solve(lambda t, y: -y, seconds(1.0), t, max_steps=10, **how)
    assert (cut.status, whole.status) == (Status.max_steps, Status.success)
    assert cut.stats.n_accepted == 5
    assert torch.equal(cut.y[:3], whole.y[:3])
    assert is_nan(cut.y[3:])


@every_gradient
@every_adaptive_solver
def test_an_adaptive_solve_stops_before_a_pole(name: str, gradient: str) -> None:
    controller = PIDController(rtol=tolerance_for(name, 1e-3), atol=tolerance_for(name, 1e-3))
    how = {"solver": name, "controller": controller, "gradient": gradient, "parameters": ()}
    solution = solve(blows_up, seconds(1.0), seconds(0.0, 0.25, 0.5, 1.1, 2.0), **how)
    assert solution.status in (Status.dt_underflow, Status.non_finite)
    torch.testing.assert_close(solution.y[:3, 0], seconds(1.0, 4 / 3, 2.0), rtol=0.05, atol=0)
    assert is_nan(solution.y[3], solution.y[4])


@every_gradient
@pytest.mark.parametrize("solver", [SOLVERS[name] for name in SOLVERS if name not in ROSENBROCK], ids=lambda s: s.name)
def test_a_fixed_solve_past_a_pole_is_non_finite_and_keeps_earlier_outputs(solver: Solver, gradient: str) -> None:
    """Rosenbrock methods are excepted: their steps are rational functions and may pass the pole."""
    how = {"solver": solver, "controller": FixedStep(dt=0.01), "gradient": gradient, "parameters": ()}
    solution = solve(blows_up, seconds(1.0), seconds(0.0, 0.25, 0.5, 1.8, 2.0), **how)
    assert solution.status is Status.non_finite
    torch.testing.assert_close(solution.y[:3, 0], seconds(1.0, 4 / 3, 2.0), rtol=0.05, atol=0)
    assert is_nan(solution.y[3], solution.y[4])


@pytest.mark.parametrize("controller", [TOLERANCE, FixedStep(dt=0.1)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@every_gradient
@every_adaptive_solver
def test_a_field_that_becomes_non_finite_ends_the_solve_in_non_finite(
    name: str, gradient: str, value: float, controller: PIDController | FixedStep
) -> None:
    def f(t: Tensor, y: Tensor) -> Tensor:
        return -y if t < 1 else torch.full_like(y, value)

    if controller.adaptive:
        controller = PIDController(rtol=tolerance_for(name, 1e-3), atol=tolerance_for(name, 1e-3))
    how = {"solver": name, "controller": controller, "gradient": gradient, "parameters": ()}
    solution = solve(f, seconds(1.0, 2.0), seconds(0.0, 0.3, 0.6, 1.5, 2.0), **how)
    assert solution.status is Status.non_finite
    decay = torch.exp(-seconds(0.0, 0.3, 0.6)).unsqueeze(1)
    rtol = 0.01 if SOLVERS[name].order > 1 else 0.05
    torch.testing.assert_close(solution.y[:3], decay * seconds(1.0, 2.0), rtol=rtol, atol=0)
    assert is_nan(solution.y[3], solution.y[4])


@every_solver
def test_a_field_that_is_never_finite_gives_the_start_only(solver: Solver) -> None:
    for controller in (FixedStep(dt=0.1), TOLERANCE) if solver.adaptive else (FixedStep(dt=0.1),):
        solution = solve(
            lambda t, y: y * math.nan, seconds(1.0, 2.0), seconds(0.0, 0.55, 1.0), solver=solver, controller=controller
        )
        assert solution.status is Status.non_finite
        assert torch.equal(solution.y[0], seconds(1.0, 2.0))
        assert is_nan(solution.y[1], solution.y[2])
        assert solution.stats.n_rejected < 30  # though at t = 0 no step is too small for the resolution of time


@every_solver
def test_outputs_interpolated_with_an_infinite_derivative_are_not_a_success(solver: Solver) -> None:
    """y' = (1 - t)^(-1/2): y(1) is finite and y'(1) is infinite, which only the last interpolant may read."""
    solution = solve(
        lambda t, y: (1 - t).rsqrt().expand_as(y), seconds(0.0), seconds(0.0, 0.95, 1.0),
        solver=solver, controller=FixedStep(dt=0.1),
    )  # fmt: skip
    assert (solution.status is Status.success) == bool(solution.y.isfinite().all())
    assert not solution.y.isinf().any()


@every_gradient
@every_solver
def test_a_gradient_after_a_partial_solve_is_finite_or_refused(solver: Solver, gradient: str) -> None:
    """The gradient of the outputs that were reached contains nothing of the others."""
    y0 = seconds(1.0).requires_grad_()
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": gradient, "parameters": ()}
    solution = solve(lambda t, y: -y, y0, seconds(0.0, 0.5, 1.0), max_steps=5, **how)
    assert solution.status is Status.max_steps
    try:
        solution.y[:2].sum().backward()
    except SolveError:
        assert y0.grad is None
    else:
        assert y0.grad.item() == pytest.approx(1 + math.exp(-0.5), rel=0.05)


class Root(nn.Module):
    """y' = p sqrt(y), which rests at y = 0, where df/dy is infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.p * y.sqrt()


@pytest.mark.parametrize("controller", [TOLERANCE, FixedStep(dt=0.1)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("name", [name for name in ADAPTIVE if name not in IMPLICIT])
def test_an_adjoint_solve_that_is_not_finite_raises_and_leaves_no_gradient(
    name: str, controller: PIDController | FixedStep
) -> None:
    """df/dy is infinite at the start; implicit methods are excepted, as they fail forwards."""
    f, y0 = Root(), seconds(0.0, 1.0).requires_grad_()
    solution = solve(f, y0, seconds(0.0, 0.5, 1.0), solver=name, controller=controller, gradient="adjoint")
    assert solution.status is Status.success
    with pytest.raises(SolveError, match=r"^adjoint: the backward solve stopped at t=.*: non_finite: .*backprop"):
        solution.y[-1].sum().backward()
    assert y0.grad is None
    assert f.p.grad is None


@every_adaptive_solver
def test_an_adjoint_solve_that_runs_out_of_steps_raises_with_advice(name: str) -> None:
    tight = ContinuousAdjoint(controller=PIDController(rtol=1e-9, atol=1e-9))
    y0, t = seconds(1.0).requires_grad_(), seconds(0.0, 2.0)

    def solved(max_steps: int) -> Solution:
        return solve(
            lambda t, y: torch.cos(3 * t) * y, y0, t, gradient=tight, parameters=(), max_steps=max_steps,
            solver=name, controller=PIDController(rtol=1e-1, atol=1e-1),
        ).require_success()  # fmt: skip

    stats = solved(1000).stats
    solution = solved(stats.n_accepted + stats.n_rejected)
    with pytest.raises(SolveError, match=r"backward solve stopped at t=.*: max_steps: .*raise max_steps"):
        solution.y[-1].sum().backward()
    assert y0.grad is None


@every_failure
def test_require_success_raises_with_the_name_and_advice_of_the_status(status: Status) -> None:
    solution = Solution(t=seconds(0.0), y=seconds(1.0), status=status, stats=Stats())
    with pytest.raises(SolveError, match=f"^{status.name}: ") as raised:
        solution.require_success()
    assert str(raised.value) == f"{status.name}: {status.value}"
    assert "\n" not in status.value


@every_failure
def test_every_failed_status_gives_advice(status: Status) -> None:
    advice = {
        Status.max_steps: "raise max_steps",
        Status.non_finite: "take a smaller step or tolerance",
        Status.dt_underflow: "loosen the tolerance",
        Status.diverged: "take smaller steps",
    }
    assert advice[status] in status.value


@pytest.mark.parametrize("status", [Status.success, Status.event])
def test_require_success_of_a_successful_solution_returns_it(status: Status) -> None:
    solution = Solution(t=seconds(0.0), y=seconds(1.0), status=status, stats=Stats())
    assert solution.require_success() is solution


@every_gradient
def test_a_model_whose_solve_fails_raises_with_the_status_of_its_solve(gradient: str) -> None:
    class Exploding(nn.Module):
        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return y**2

    def model(max_steps: int, controller: PIDController | FixedStep) -> NeuralODE:
        return NeuralODE(Exploding(), "dopri5", controller=controller, gradient=gradient, max_steps=max_steps)

    expected: list[tuple[NeuralODE, Callable[[Status], bool]]] = [
        (model(3, TOLERANCE), lambda status: status is Status.max_steps),
        (model(10_000, FixedStep(dt=0.05)), lambda status: status is Status.non_finite),
        (model(10_000, TOLERANCE), lambda status: status in (Status.dt_underflow, Status.non_finite)),
    ]
    for failing, known in expected:
        solution = failing.solve(seconds(1.0), seconds(0.0, 2.0))
        assert known(solution.status)
        with pytest.raises(SolveError, match=f"^{solution.status.name}: "):
            failing(seconds(1.0), seconds(0.0, 2.0))
