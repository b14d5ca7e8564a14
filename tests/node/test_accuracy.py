"""Accuracy: the error follows the tolerance on problems whose end values are known to all digits."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchdiffeq
from torch import Tensor

from node import SOLVERS, Counted, FixedStep, PIDController, Solution, solve
from node.solvers import ESDIRK, Solver
from tests.support.estimates import tolerance_for
from tests.support.families import CONTROLLED, ROSENBROCK

every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_adaptive_solver = pytest.mark.parametrize("name", CONTROLLED)


@dataclass(frozen=True)
class Problem:
    """An autonomous problem from t = 0, with its state at t_end to 17 digits."""

    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t_end: float
    y_end: tuple[float, ...]

    def solve(self, solver: str | Solver, tolerance: float) -> Solution:
        tolerance = tolerance_for(solver if isinstance(solver, str) else solver.name, tolerance)
        controller = PIDController(rtol=tolerance, atol=tolerance)
        return solve(self.f, *self.initial(), solver=solver, controller=controller).require_success()

    def initial(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.y0, dtype=torch.float64), torch.tensor([0.0, self.t_end], dtype=torch.float64)

    def error(self, y: Tensor) -> float:
        return (y[-1] - torch.tensor(self.y_end, dtype=torch.float64)).abs().max().item()


def spiral(t: Tensor, y: Tensor) -> Tensor:
    return y**3 @ torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=y.dtype)


def lotka_volterra(t: Tensor, y: Tensor) -> Tensor:
    prey, predator = y
    return torch.stack((1.5 * prey - prey * predator, prey * predator - 3 * predator))


def van_der_pol(mu: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: torch.stack((y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]))


def lorenz(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]))


def pendulum(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((y[1], -torch.sin(y[0]) - 0.1 * y[1]))


PROBLEMS = {
    "spiral to 1.5": Problem(spiral, (2, 0), 1.5, (1.2919915629767863913, 0.97258607443451642539)),
    "spiral to 25": Problem(spiral, (2, 0), 25, (-0.44362348669863494539, 0.2794406416189389983)),
    "Lotka-Volterra": Problem(lotka_volterra, (1, 1), 10, (1.0263447675750893191, 0.90969107813604161755)),
    "Van der Pol, mu = 1": Problem(van_der_pol(1), (2, 0), 20, (2.008149762174948592, -0.042508875273202146986)),
    "Van der Pol, mu = 10": Problem(van_der_pol(10), (2, 0), 20, (1.9393585327826517344, -0.070081505735807403337)),
    "Lorenz": Problem(lorenz, (1, 1, 1), 1, (-9.3785700109250623608, -8.3570337884266447329, 29.36232533736342818)),
    "pendulum": Problem(pendulum, (2, 0), 10, (-0.61637258153309343362, -0.84502300787790647117)),
}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def expected_power(name: str) -> float:
    """The power of the tolerance with which the error falls: p/k, as the error is O(dt^p) and dt ~ tolerance^(1/k).

    k = p for a pair that propagates the higher order; fehlberg45 propagates the lower one, and has 4/5.
    """
    return SOLVERS[name].order / SOLVERS[name].error_order


def tolerances(name: str) -> list[float]:
    """Half decades of tolerances at which the leading error term dominates; whole decades for ESDIRK, which is slow."""
    order = SOLVERS[name].order
    if isinstance(SOLVERS[name], ESDIRK):
        return [1e-5, 1e-6, 1e-7]
    first, last = (4, 7) if order < 3 else (8, 12) if order < 4 or name in ROSENBROCK else (14, 18)
    return [10 ** (-k / 2) for k in range(first, last + 1)]


@pytest.mark.exhaustive
@every_adaptive_solver
def test_error_follows_the_tolerance(name: str) -> None:
    """The slope of each problem is within 0.6 (an error at one time may change its sign), their mean within 0.15."""
    asked_for, expected = tolerances(name), expected_power(name)
    observed = []
    for problem in PROBLEMS.values():
        errors = [problem.error(problem.solve(name, tolerance).y) for tolerance in asked_for]
        observed.append(np.polyfit(np.log(asked_for), np.log(errors), 1)[0])
        assert errors[-1] < 1000 * asked_for[-1] ** expected
    assert observed == pytest.approx([expected] * len(PROBLEMS), abs=0.6)
    assert np.mean(observed) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ["vern7", "dopri8"])
def test_error_falls_in_proportion_to_the_tolerance_down_to_1e_11(name: str, problem: str) -> None:
    for tolerance in (1e-7, 1e-9, 1e-11):
        error = PROBLEMS[problem].error(PROBLEMS[problem].solve(name, tolerance).y)
        assert error < 300 * tolerance


def test_dopri8_at_a_tolerance_of_1e_12_errs_by_less_than_1e_11() -> None:
    """The last step ends at t_end: torchdiffeq 0.2.5 interpolates its end value and errs by 1.5e-8."""
    problem = PROBLEMS["spiral to 1.5"]
    assert problem.error(problem.solve("dopri8", 1e-12).y) < 1e-11


@pytest.mark.parametrize("t_end", [1.0, 2 * math.pi])
@every_solver
def test_a_solver_of_order_p_integrates_polynomials_of_degree_below_p_exactly(solver: Solver, t_end: float) -> None:
    degree = solver.order - 1
    t = torch.tensor([0.0, t_end], dtype=torch.float64)
    y = solve(
        lambda t, y: (degree + 1) * t**degree * torch.ones_like(y), torch.zeros(1, dtype=torch.float64), t,
        solver=solver, controller=FixedStep(dt=t_end / 3),
    ).y  # fmt: skip
    assert y[-1].item() == pytest.approx(t_end ** (degree + 1), rel=1e-13)


@every_adaptive_solver
def test_the_integral_of_cosine_is_sine_at_every_output(name: str) -> None:
    """The bound is 20 tolerances, plus the error dt^4 / 384 max |sin| of a cubic Hermite interpolant below the order.

    The steps are sized for y1; none is longer than twice their mean.
    """
    solver = SOLVERS[name]
    t = torch.linspace(0, 2 * math.pi, 50, dtype=torch.float64)
    tolerance = 1e-4 if solver.order < 4 else 1e-8
    solution = solve(
        lambda t, y: torch.cos(t), torch.tensor(0.0, dtype=torch.float64), t,
        solver=name, controller=PIDController(rtol=tolerance_for(name, tolerance), atol=tolerance_for(name, tolerance)),
    )  # fmt: skip
    has_cubic = solver.dense_order == 3 < solver.order
    cubic = (2 * 2 * math.pi / solution.stats.n_accepted) ** 4 / 384 if has_cubic else 0.0
    torch.testing.assert_close(solution.y, t.sin(), rtol=0, atol=20 * tolerance + cubic)
    assert abs(solution.y[-1].item()) < 20 * tolerance


@pytest.mark.parametrize("n", [8, 64])
def test_rk4_is_simpsons_rule_where_f_depends_on_time_alone(n: int) -> None:
    dt = 2.0 / n
    nodes = torch.linspace(0, 2, 2 * n + 1, dtype=torch.float64).cos()
    simpson = dt / 6 * (nodes[0] + nodes[-1] + 4 * nodes[1::2].sum() + 2 * nodes[2:-1:2].sum())
    t = torch.tensor([0.0, 2.0], dtype=torch.float64)
    y = solve(lambda t, y: torch.cos(t), torch.zeros_like(t[0]), t, solver="rk4", controller=FixedStep(dt=dt)).y
    torch.testing.assert_close(y[-1], simpson, rtol=0, atol=1e-14)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-5, 1e-6, 1e-7, 1e-8])
def test_dopri5_costs_as_much_as_torchdiffeqs_and_is_as_exact_at_equal_tolerance(tolerance: float) -> None:
    problem = PROBLEMS["spiral to 1.5"]
    field = Counted(problem.f)
    theirs = torchdiffeq.odeint(field, *problem.initial(), rtol=tolerance, atol=tolerance, method="dopri5")
    ours = problem.solve("dopri5", tolerance)
    assert ours.stats.nfe_forward == pytest.approx(field.calls, rel=0.1)
    assert problem.error(ours.y) < 1.5 * problem.error(theirs)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-5])
@every_problem
def test_dopri5_takes_as_many_steps_as_torchdiffeqs(problem: Problem, tolerance: float) -> None:
    """The last step differs: node's ends at the end time, torchdiffeq's beyond it."""
    field = Counted(problem.f)
    torchdiffeq.odeint(field, *problem.initial(), rtol=tolerance, atol=tolerance, method="dopri5")
    assert problem.solve("dopri5", tolerance).stats.nfe_forward == pytest.approx(field.calls, abs=12)


@pytest.mark.parametrize("name", ["bosh3", "dopri5", "dopri8"])
def test_states_equal_torchdiffeqs_within_the_tolerance(name: str) -> None:
    problem = PROBLEMS["pendulum"]
    y0, _ = problem.initial()
    t = torch.linspace(0, 10, 21, dtype=torch.float64)
    ours = solve(problem.f, y0, t, solver=name, controller=PIDController(rtol=1e-7, atol=1e-7)).y
    theirs = torchdiffeq.odeint(problem.f, y0, t, rtol=1e-7, atol=1e-7, method=name, options={"step_t": t})
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "method"), [("euler", "euler"), ("midpoint", "midpoint"), ("heun3", "heun3"), ("rk4_38", "rk4")]
)
def test_fixed_steps_equal_torchdiffeqs_to_rounding(name: str, method: str) -> None:
    problem = PROBLEMS["pendulum"]
    y0, _ = problem.initial()
    t = torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    ours = solve(problem.f, y0, t, solver=name, controller=FixedStep(dt=0.125)).y
    theirs = torchdiffeq.odeint(problem.f, y0, t, method=method, options={"step_size": 0.125})
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_a_float32_solve_equals_the_float64_solve_to_single_precision() -> None:
    y0, t = torch.tensor([2.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 10.0], dtype=torch.float64)
    controller = PIDController(rtol=1e-5, atol=1e-5)
    double = solve(pendulum, y0, t, solver="dopri5", controller=controller)
    single = solve(pendulum, y0.float(), t.float(), solver="dopri5", controller=controller)
    assert single.y.dtype == torch.float32
    torch.testing.assert_close(single.y.double(), double.y, rtol=0, atol=1e-4)
    assert single.stats.nfe_forward == pytest.approx(double.stats.nfe_forward, rel=0.05)
