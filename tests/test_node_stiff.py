"""Solvers for stiff problems: their coefficients, their stability, their Jacobians, and problems that need them."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from gradients import tensor
from test_node_tableau import Tree, trees
from torch import Tensor, nn

from node import SOLVERS, Counted, FixedStep, PIDController, Status, solve
from node.jacobian import factors, linearise
from node.solvers import Solver
from node.solvers.implicit_euler import IMPLICIT_EULER
from node.solvers.rodas4 import RODAS4
from node.solvers.rodas5p import RODAS5P
from node.solvers.rosenbrock import RosenbrockTableau
from node.vector_field import FlatField

ROSENBROCK = {solver.name: solver for solver in (RODAS4, RODAS5P)}
STIFF = {IMPLICIT_EULER.name: IMPLICIT_EULER, **ROSENBROCK}
every_rosenbrock = pytest.mark.parametrize("solver", ROSENBROCK.values(), ids=ROSENBROCK)
every_stiff_solver = pytest.mark.parametrize("solver", STIFF.values(), ids=STIFF)
DENSE_ORDERS = [(solver, theta) for solver in ROSENBROCK.values() for theta in (0.3, 0.7)]


class Classical(NamedTuple):
    """A Rosenbrock method in terms of k_i: Hairer & Wanner (1996), eq. IV.7.4, with beta = alpha + gamma."""

    alpha: np.ndarray
    gamma: np.ndarray
    row: Callable[[tuple[float, ...]], np.ndarray]  # weights of the u_i as weights of the k_i


def classical(tableau: RosenbrockTableau) -> Classical:
    """gamma = (I / gamma - c)^-1 and alpha = a gamma: what section IV.7 derives the other form from."""
    stages = len(tableau.b)

    def full(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
        return np.array([[*row, *[0.0] * (stages - len(row))] for row in rows])

    gamma = np.linalg.inv(np.eye(stages) / tableau.gamma - full(tableau.c))
    return Classical(full(tableau.a) @ gamma, gamma, lambda row: np.array(row) @ gamma)


def elementary_weights(method: Classical, tree: Tree) -> np.ndarray:
    """Hairer & Wanner (1996), eq. IV.7.11: beta where a vertex has one branch, alpha where it has more."""
    branches = [elementary_weights(method, branch) for branch in tree]
    matrix = method.alpha + method.gamma if len(branches) == 1 else method.alpha
    return math.prod((matrix @ phi for phi in branches), start=np.ones(len(matrix)))


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    return size(tree) * math.prod(map(density, tree))


def residual(method: Classical, weights: np.ndarray, order: int, theta: float = 1.0) -> float:
    """The worst of the conditions of one order, at theta dt."""
    exact = {tree: theta**order / density(tree) for tree in trees(order)}
    return max(abs(weights @ elementary_weights(method, tree) - value) for tree, value in exact.items())


@every_rosenbrock
def test_coefficients_satisfy_the_conditions_of_the_claimed_order_and_no_more(solver: Solver) -> None:
    method = classical(solver.tableau)
    b = method.row(solver.tableau.b)
    assert max(residual(method, b, order) for order in range(1, solver.order + 1)) < 1e-13
    assert residual(method, b, solver.order + 1) > 1e-4


@every_rosenbrock
def test_the_embedded_method_is_one_order_below(solver: Solver) -> None:
    method = classical(solver.tableau)
    embedded = method.row(tuple(np.subtract(solver.tableau.b, solver.tableau.b_error)))
    assert max(residual(method, embedded, order) for order in range(1, solver.error_order)) < 1e-13
    assert residual(method, embedded, solver.error_order) > 1e-4


@pytest.mark.parametrize(("solver", "theta"), DENSE_ORDERS, ids=lambda x: getattr(x, "name", x))
def test_dense_output_satisfies_the_conditions_of_its_order(solver: Solver, theta: float) -> None:
    method = classical(solver.tableau)
    powers = theta ** np.arange(1, 1 + len(solver.tableau.powers))
    weights = method.row(tuple(powers @ np.array(solver.tableau.powers)))
    assert max(residual(method, weights, order, theta) for order in range(1, solver.dense_order + 1)) < 2e-13
    assert residual(method, weights, solver.dense_order + 1, theta) > 1e-5


@every_rosenbrock
def test_the_last_two_stages_are_the_embedded_method_and_the_method(solver: Solver) -> None:
    """Stiffly accurate: b is the last row of beta."""
    method = classical(solver.tableau)
    np.testing.assert_allclose((method.alpha + method.gamma)[-1], method.row(solver.tableau.b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("part", ["alpha", "d", "a", "c", "b", "b_error", "dense"])
@every_rosenbrock
def test_a_mistyped_coefficient_is_refused(solver: Solver, part: str) -> None:
    rows = getattr(solver.tableau, part)
    nested = isinstance(rows[-1], tuple)
    row = list(rows[-1] if nested else rows)
    row[1] += 1e-6
    wrong = (*rows[:-1], tuple(row)) if nested else tuple(row)
    with pytest.raises(ValueError, match="a coefficient is mistyped"):
        replace(solver.tableau, **{part: wrong})


def test_a_row_of_the_wrong_length_is_refused() -> None:
    tableau = RODAS4.tableau
    with pytest.raises(ValueError, match="b_error has 5 rows or entries and must have 6"):
        replace(tableau, b_error=tableau.b_error[1:])
    with pytest.raises(ValueError, match="row 5 of c has 4 entries and must have 5"):
        replace(tableau, c=(*tableau.c[:-1], tableau.c[-1][1:]))


def one_step(solver: Solver, f: FlatField, t: float | Tensor, y: Tensor, dt: float | Tensor) -> Tensor:
    carry = solver.start(f, t, y)
    return solver.step(f, t, y, dt, carry, solver.workspace(y, record=False), estimate=True).y1


@every_stiff_solver
def test_what_is_infinitely_stiff_is_gone_after_a_step(solver: Solver) -> None:
    """L-stability: |R(-1e8)| is as small as a rational function that vanishes at infinity makes it."""
    rates = tensor(-1e4, -1e6, -1e8)
    y1 = one_step(solver, FlatField.of(lambda t, y: rates * y, rates), 0.0, torch.ones_like(rates), 1.0)
    assert (y1.abs() < 20 / rates.abs()).all()
    assert y1[-1].abs() < 1e-6


@every_stiff_solver
def test_no_oscillation_grows(solver: Solver) -> None:
    """A-stability: |R(i x)| <= 1 on the imaginary axis, with a complex state."""
    rates = 1j * torch.logspace(-3, 6, 60, dtype=torch.float64)
    y1 = one_step(solver, FlatField.of(lambda t, y: rates * y, rates), 0.0, torch.ones_like(rates), 1.0)
    assert y1.abs().max() <= 1 + 1e-12
    assert y1[-1].abs() < 1e-4


@every_stiff_solver
def test_a_stiff_solution_that_moves_is_followed_with_steps_of_its_own_size(solver: Solver) -> None:
    """Prothero & Robinson (1974): y' = -1e6 (y - cos t) - sin t, y(0) = 1; dopri5 would need dt < 3.3e-6."""
    t = torch.linspace(0, 2, 41, dtype=torch.float64)
    y0 = torch.ones(1, dtype=torch.float64)
    found = solve(
        lambda t, y: -1e6 * (y - torch.cos(t)) - torch.sin(t), y0, t, solver=solver, controller=FixedStep(0.1)
    )
    error = (found.y[:, 0] - torch.cos(t)).abs()
    assert error[::2].max() < 1e-5
    assert error[1::2].max() < {1: 2e-3, 3: 2e-4, 4: 2e-5}[solver.dense_order]


class Oscillator(nn.Module):
    """Nonlinear in y and t, with a parameter; samples (..., 2) do not see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        x, v = y.unbind(-1)
        phase = torch.cos(2 * t).squeeze(-1) if t.dim() else torch.cos(2 * t)
        return torch.stack((v, self.mu * (1 - x * x) * v - x + phase), dim=-1)


def jacobian(y: Tensor) -> Tensor:
    x, v = y.tolist()
    return tensor(0, 1, -6 * x * v - 1, 3 * (1 - x * x)).view(2, 2)


BATCH = tensor(2.0, 0.0, -1.0, 0.5, 0.3, 4.0).view(3, 2)
TIMES = tensor(0.1, 0.7, -0.4).view(3, 1)


def test_derivatives_are_exact_and_cost_one_call() -> None:
    f = FlatField.of(Oscillator(), BATCH[1])
    found = linearise(f, 0.7, BATCH[1], solver="")
    torch.testing.assert_close(found.f, f(0.7, BATCH[1]))
    torch.testing.assert_close(found.dy, jacobian(BATCH[1]))
    torch.testing.assert_close(found.dt, tensor(0.0, -2 * math.sin(1.4)))
    assert f.calls == 2


def test_samples_have_derivatives_of_their_own_from_one_call_with_their_own_shape() -> None:
    seen = []

    def field(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.shape, y.shape))
        return Oscillator()(t, y)

    found = linearise(FlatField.of(field, BATCH, samples=True), TIMES, BATCH, solver="")
    assert seen == [((3, 1), (3, 2))]
    torch.testing.assert_close(found.dy, torch.stack([jacobian(y) for y in BATCH]))
    torch.testing.assert_close(found.dt[:, 1:], -2 * torch.sin(2 * TIMES))


def test_a_joint_batch_is_one_state_whose_jacobian_has_blocks() -> None:
    found = linearise(FlatField.of(Oscillator(), BATCH), 0.7, BATCH.view(-1), solver="")
    torch.testing.assert_close(found.dy, torch.block_diag(*map(jacobian, BATCH)))


def test_a_complex_state_has_the_jacobian_of_its_parts_though_f_is_not_analytic() -> None:
    y = torch.tensor([1.0 + 2.0j, 3.0 - 1.0j], dtype=torch.complex128)
    found = linearise(FlatField.of(lambda t, y: y * y.conj().flip(0) + 1j * t, y), 0.7, y, solver="")

    def parts(x: Tensor) -> Tensor:
        z = torch.view_as_complex(x.view(2, 2))
        return torch.view_as_real(z * z.conj().flip(0)).view(-1)

    torch.testing.assert_close(found.dy, torch.autograd.functional.jacobian(parts, torch.view_as_real(y).view(-1)))
    torch.testing.assert_close(found.dt, torch.full_like(y, 1j))
    b = torch.tensor([1.0j, 2.0], dtype=torch.complex128)
    x = factors(2.0, 0.1, found.dy).solve(b)
    real = 2.0 * torch.eye(4, dtype=torch.float64) - 0.1 * found.dy
    torch.testing.assert_close(real @ torch.view_as_real(x).view(-1), torch.view_as_real(b).view(-1))


def test_time_has_its_derivative_also_where_f_jumps() -> None:
    """At a jump f is called beside it; its slope there is the one from inside."""
    f = FlatField.of(lambda t, y: y * t.square(), torch.ones(1, dtype=torch.float64))
    f.between(0.5, 1.0)
    torch.testing.assert_close(linearise(f, 0.5, tensor(1.0), solver="").dt, tensor(1.0))
    ones, ends = torch.ones(3, 2, 1, dtype=torch.float64), tensor(0.5, 0.6, 0.7).view(3, 1)
    f = FlatField.of(lambda t, y: y * t.square(), ones, samples=True)
    f.between_columns(ends, ends + 1)
    torch.testing.assert_close(linearise(f, ends, ones.view(3, 2), solver="").dt, 2 * ends.expand(3, 2))


@every_stiff_solver
def test_samples_step_as_each_would_alone(solver: Solver) -> None:
    dt = tensor(0.3, -0.1, 0.05).view(3, 1)
    together = FlatField.of(Oscillator(), BATCH, samples=True)
    y1 = one_step(solver, together, TIMES, BATCH, dt)
    for i in range(3):
        alone = one_step(solver, FlatField.of(Oscillator(), BATCH[i]), TIMES[i].item(), BATCH[i], dt[i].item())
        torch.testing.assert_close(y1[i], alone, rtol=1e-13, atol=1e-13)


@every_stiff_solver
def test_a_rejected_step_leaves_what_the_next_try_starts_from_alone(solver: Solver) -> None:
    y, f = BATCH[0].clone(), FlatField.of(Oscillator(), BATCH[0])
    workspace, carry = solver.workspace(y, record=False), solver.start(f, 0.1, y)
    solver.step(f, 0.1, y, 5.0, carry, workspace, estimate=True)
    again = solver.step(f, 0.1, y, 0.1, carry, workspace, estimate=True)
    assert torch.equal(y, BATCH[0])
    assert torch.equal(again.y1, one_step(solver, f, 0.1, y, 0.1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_stiff_solver
def test_calls_are_those_reported(solver: Solver, dtype: torch.dtype) -> None:
    field = Counted(Oscillator().to(dtype))
    t = torch.tensor([0.0, 0.01, 1.0, 3.0], dtype=dtype)
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    stats = solve(field, BATCH[0].to(dtype), t, solver=solver, controller=controller).require_success().stats
    assert stats.nfe_forward == field.calls
    assert stats.n_rejected > 0
    assert (stats.nfe_backward, stats.vjp_backward) == (0, 0)


@every_rosenbrock
def test_a_rosenbrock_step_costs_its_stages_and_a_rejected_one_keeps_the_first(solver: Solver) -> None:
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    stats = solve(Oscillator(), BATCH[0], tensor(0.0, 3.0), solver=solver, controller=controller).stats
    to_start = 1  # f0, of which the controller sizes a first step that is not given
    tried = stats.n_accepted + stats.n_rejected
    assert stats.nfe_forward == to_start + stats.n_accepted + (solver.stages - 1) * tried


def robertson(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y
    slow, back, fast = 0.04 * a, 1e4 * b * c, 3e7 * b * b
    return torch.stack((back - slow, slow - back - fast, fast))


def hires(t: Tensor, y: Tensor) -> Tensor:
    """Schaefer (1975), as the Test Set for IVP Solvers has it."""
    a, b, c, d, e, g, h, i = y
    bound = 280 * g * i - 1.81 * h
    return torch.stack(
        (
            -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
            1.71 * a - 8.75 * b,
            -10.03 * c + 0.43 * d + 0.035 * e,
            8.32 * b + 1.71 * c - 1.12 * d,
            -1.745 * e + 0.43 * (g + h),
            -280 * g * i + 0.69 * d + 1.71 * e - 0.43 * g + 0.69 * h,
            bound,
            -bound,
        )
    )


def van_der_pol(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((y[1], 1000 * (1 - y[0].square()) * y[1] - y[0]))


class StiffProblem(NamedTuple):
    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t_end: float
    exact: tuple[float, ...]
    atol: tuple[float, ...] | float  # relative to rtol
    nfe: int  # the most at rtol = 1e-3, of solvers of order 4 or more


HIRES_END = (
    0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2,
    0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2,
)  # fmt: skip
# The ends as published with the Test Set for IVP Solvers; Robertson's at 40 by SciPy's Radau at rtol=3e-14.
PROBLEMS = {
    "robertson": StiffProblem(
        robertson, (1, 0, 0), 1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050), (1e-6, 1e-11, 1.0), 800,
    ),
    "robertson to 40": StiffProblem(
        robertson, (1, 0, 0), 40.0, (0.7158270687194016, 9.18553476455776e-06, 0.28416374574582903), 1e-4, 160
    ),
    "hires": StiffProblem(hires, (1, 0, 0, 0, 0, 0, 0, 0.0057), 321.8122, HIRES_END, 1e-4, 400),
    "van_der_pol": StiffProblem(
        van_der_pol, (2, 0), 2000.0, (1.706167732170469, -0.8928097010248125e-3), 1e-4, 1900
    ),
}  # fmt: skip
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def relative_error(problem: StiffProblem, solver: Solver, rtol: float, most_calls: float = math.inf) -> float:
    exact = torch.tensor(problem.exact, dtype=torch.float64)
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    controller = PIDController(rtol=rtol, atol=rtol * torch.tensor(problem.atol, dtype=torch.float64))
    with torch.no_grad():
        solution = solve(problem.f, y0, tensor(0.0, problem.t_end), solver=solver, controller=controller)
    assert solution.require_success().stats.nfe_forward <= most_calls
    return ((solution.y[-1] - exact) / exact).abs().max().item()


@every_problem
@every_rosenbrock
def test_stiff_problems_come_out_right_and_better_with_the_tolerance(problem: StiffProblem, solver: Solver) -> None:
    """Relative to each component, also to one of 1e-13."""
    coarse = relative_error(problem, solver, 1e-3, problem.nfe)
    fine = relative_error(problem, solver, 1e-4)
    assert coarse < 5e-3
    assert fine < 0.6 * coarse


def test_implicit_euler_comes_near_with_few_steps() -> None:
    coarse, fine = (relative_error(PROBLEMS["robertson to 40"], IMPLICIT_EULER, rtol, 400) for rtol in (1e-2, 1e-3))
    assert coarse < 0.05
    assert fine < 0.5 * coarse


@every_problem
def test_an_explicit_solver_is_lost_on_them(problem: StiffProblem) -> None:
    """At five times the calls it has not come through a hundredth part, or a fifth of the mildest."""
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    t = problem.t_end * tensor(0.0, 0.2 if problem.f is hires or problem.t_end == 40.0 else 0.01, 1.0)
    controller = PIDController(rtol=1e-4, atol=1e-8)
    solution = solve(problem.f, y0, t, solver="dopri5", controller=controller, max_steps=5 * problem.nfe // 6)
    assert solution.status is Status.max_steps
    assert solution.y[1].isnan().all()


@pytest.mark.parametrize(
    ("solver", "rate"), [(IMPLICIT_EULER, 1.0), (RODAS4, 4.0)], ids=lambda x: getattr(x, "name", x)
)
def test_a_singular_matrix_rejects_the_step(solver: Solver, rate: float) -> None:
    """I - gamma dt J = 0 in a first step of 1."""
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    y0, t = tensor(1.0), tensor(0.0, 2.0)
    solution = solve(lambda t, y: rate * y, y0, t, solver=solver, controller=controller).require_success()
    assert solution.stats.n_rejected > 0
    torch.testing.assert_close(solution.y[-1], tensor(math.exp(2 * rate)), rtol=0.1, atol=0)


def test_implicit_euler_solves_its_equation_to_rounding() -> None:
    f = FlatField.of(van_der_pol, tensor(2.0, 0.0))
    for dt in (1e-3, 1.0, 100.0):
        y1 = one_step(IMPLICIT_EULER, f, 0.0, tensor(2.0, 0.0), dt)
        matrix = torch.eye(2, dtype=torch.float64) - dt * linearise(f, dt, y1, solver="").dy
        change = torch.linalg.solve(matrix, tensor(2.0, 0.0) + dt * f(dt, y1) - y1)
        assert change.abs().max() < 1e-15 * y1.abs().max()


def test_implicit_euler_stops_where_the_rounding_of_f_stops_it() -> None:
    """Here it is 1e-10 in a step of 1e-9, and no value of y solves the equation better."""
    calls, y = [], tensor(1.0, 2.0)

    def rough(t: Tensor, y: Tensor) -> Tensor:
        calls.append(t)
        return -1e-9 * y + 1e-10 * torch.sin(1e13 * y.detach())

    y1 = one_step(IMPLICIT_EULER, FlatField.of(rough, y), 0.0, y, 1.0)
    torch.testing.assert_close(y1, (1 - 1e-9) * y, rtol=1.1e-10, atol=0)
    assert len(calls) < 10


def test_implicit_euler_carries_f_without_its_stiffness() -> None:
    """y1 is right to 1e-16, of which f makes 1e-4."""
    y = torch.linspace(0.3, 1.7, 8, dtype=torch.float64)
    f = FlatField.of(lambda t, z: -1e12 * (z - y * torch.exp(t)) + y * torch.exp(t), y)
    y1, _, carry = IMPLICIT_EULER.step(f, 0.0, y, 0.1, IMPLICIT_EULER.start(f, 0.0, y), False, estimate=True)
    torch.testing.assert_close(y1, y * math.exp(0.1), rtol=1e-12, atol=0)
    torch.testing.assert_close(carry, y * math.expm1(0.1) / 0.1, rtol=1e-11, atol=0)


def test_implicit_euler_estimates_its_error_with_its_sign() -> None:
    f, y = FlatField.of(lambda t, y: -2 * y, tensor(1.0, 3.0)), tensor(1.0, 3.0)
    step = IMPLICIT_EULER.step(f, 0.0, y, 1e-3, IMPLICIT_EULER.start(f, 0.0, y), False, estimate=True)
    torch.testing.assert_close(step.error, step.y1 - math.exp(-2e-3) * y, rtol=5e-3, atol=0)


def test_an_equation_without_a_solution_costs_its_own_sample_only() -> None:
    """y1 = y + dt y1^2 has none for 4 dt y > 1; and a sample at rest stays so."""
    y = tensor(1.0, 0.1, 0.0).view(3, 1)
    y1 = one_step(
        IMPLICIT_EULER, FlatField.of(lambda t, y: y * y, y, samples=True), torch.zeros_like(y), y, torch.ones_like(y)
    )
    assert y1[0].isnan()
    torch.testing.assert_close(y1[1:, 0], tensor((1 - math.sqrt(0.6)) / 2, 0.0))


def test_a_step_whose_equation_has_no_solution_is_rejected_or_told() -> None:
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


@pytest.mark.parametrize("way", ["joint", "independent"])
@every_stiff_solver
def test_first_and_second_derivatives_of_steps_are_exact(solver: Solver, way: str) -> None:
    """Two steps, by finite differences; through the Jacobian too."""
    dt = tensor(0.2, 0.1, 0.05).view(3, 1) if way == "independent" else 0.2
    t = TIMES if way == "independent" else 0.1
    start = BATCH if way == "independent" else BATCH[0]

    def two_steps(y: Tensor, mu: Tensor) -> Tensor:
        def field(t: Tensor, y: Tensor) -> Tensor:
            return torch.func.functional_call(Oscillator(), {"mu": mu}, (t, y))

        f = FlatField.of(field, start, samples=way == "independent")
        workspace = solver.workspace(y, record=True)
        first = solver.step(f, t, y, dt, solver.start(f, t, y), workspace, estimate=True)
        carry = solver.start(f, t + dt, first.y1) if first.carry is None else first.carry
        second = solver.step(f, t + dt, first.y1, dt, carry, workspace, estimate=True)
        return second.y1 + solver.dense(f, t + dt, first.y1, dt, second, workspace).sum(0)

    inputs = (start.clone().requires_grad_(), torch.tensor(3.0, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(two_steps, inputs, rtol=1e-6)
    assert torch.autograd.gradgradcheck(two_steps, inputs, rtol=1e-5)


@every_stiff_solver
def test_backprop_calls_nothing_and_counts_its_products(solver: Solver) -> None:
    """One product a later stage of a Rosenbrock step; two an implicit step, for two derivatives."""
    field = Counted(Oscillator())
    y0 = BATCH[0].clone().requires_grad_()
    solution = solve(field, y0, tensor(0.0, 1.0), solver=solver, controller=FixedStep(0.1))
    assert solution.stats.vjp_backward == 0
    field.reset()
    solution.y[-1].sum().backward()
    assert field.calls == solution.stats.nfe_backward == 0
    assert solution.stats.vjp_backward == field.vjps == 10 * (2 if solver is IMPLICIT_EULER else solver.stages - 1)


def through_numpy(t: Tensor, y: Tensor) -> Tensor:
    return torch.from_numpy(-y.detach().numpy())


def through_autograd(t: Tensor, y: Tensor) -> Tensor:
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        return -torch.autograd.grad(y.square().sum(), y)[0]


@pytest.mark.parametrize("field", [through_numpy, through_autograd])
@every_stiff_solver
def test_a_field_that_cannot_be_differentiated_is_refused_in_one_line(
    solver: Solver, field: Callable[[Tensor, Tensor], Tensor]
) -> None:
    with pytest.raises(
        ValueError, match=f"^{solver.name} needs df/dy, and torch.func cannot .*explicit solver"
    ) as told:
        solve(field, BATCH[0], tensor(0.0, 1.0), solver=solver, controller=FixedStep(0.1))
    assert "\n" not in str(told.value)


@every_stiff_solver
def test_a_field_that_is_wrong_in_itself_says_so_itself(solver: Solver) -> None:
    with pytest.raises(RuntimeError, match=re.escape("mat1 and mat2 shapes cannot be multiplied")):
        solve(lambda t, y: y @ torch.eye(3).double(), BATCH, tensor(0.0, 1.0), solver=solver, controller=FixedStep(0.1))


@every_stiff_solver
def test_a_field_may_branch_write_in_place_and_share_memory(solver: Solver) -> None:
    def field(t: Tensor, y: Tensor) -> Tensor:
        dy = torch.zeros_like(y)
        dy[0] = -y[0] if y[1] > 0 else y[0]
        dy[1:] = -y[1:]
        return dy

    y0 = torch.ones((), dtype=torch.float64).expand(3)
    y = solve(field, y0, tensor(0.0, 0.1), solver=solver, controller=FixedStep(0.01)).y[-1]
    torch.testing.assert_close(y, torch.exp(tensor(-0.1, -0.1, -0.1)), rtol=1e-3, atol=0)


def test_the_registry_holds_them() -> None:
    assert [SOLVERS[name] for name in STIFF] == list(STIFF.values())
