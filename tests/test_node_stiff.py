"""Solvers for stiff problems: their stability, their Jacobians, their equations, and what they refuse."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from gradients import tensor
from test_node_stiff_problems import van_der_pol
from torch import Tensor, nn

from node import SOLVERS, Counted, FixedStep, PIDController, Status, solve
from node.jacobian import factors, linearise
from node.solvers import Solver
from node.solvers.implicit_euler import IMPLICIT_EULER
from node.solvers.rodas4 import RODAS4
from node.solvers.rodas5p import RODAS5P
from node.vector_field import FlatField

ROSENBROCK = {solver.name: solver for solver in (RODAS4, RODAS5P)}
STIFF = {IMPLICIT_EULER.name: IMPLICIT_EULER, **ROSENBROCK}
every_rosenbrock = pytest.mark.parametrize("solver", ROSENBROCK.values(), ids=ROSENBROCK)
every_stiff_solver = pytest.mark.parametrize("solver", STIFF.values(), ids=STIFF)


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
