"""Stiff solvers: their stability, costs and derivatives, and the fields that they refuse."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from node import SOLVERS, Counted, FixedStep, PIDController, solve
from node.solvers import Solver
from node.solvers.implicit.implicit_euler import IMPLICIT_EULER
from node.solvers.implicit.kencarp4 import KENCARP4
from node.solvers.implicit.kencarp58 import KENCARP58
from node.solvers.implicit.kvaerno3 import KVAERNO3
from node.solvers.implicit.rodas4 import RODAS4
from node.solvers.implicit.rodas5p import RODAS5P
from node.user_field import UserField
from tests.support.gradients import tensor
from tests.support.stiffs import BATCH, TIMES, Oscillator, one_step

ROSENBROCK = {solver.name: solver for solver in (RODAS4, RODAS5P)}
ESDIRKS = {solver.name: solver for solver in (IMPLICIT_EULER, KVAERNO3, KENCARP4, KENCARP58)}
STIFF = {**ESDIRKS, **ROSENBROCK}
every_rosenbrock = pytest.mark.parametrize("solver", ROSENBROCK.values(), ids=ROSENBROCK)
every_stiff_solver = pytest.mark.parametrize("solver", STIFF.values(), ids=STIFF)


@every_stiff_solver
def test_stiff_solvers_are_l_stable(solver: Solver) -> None:
    """|R(z)| < 20 / |z| for z to -1e8, as R(z) vanishes at infinity."""
    rates = tensor(-1e4, -1e6, -1e8)
    y1 = one_step(solver, UserField.of(lambda t, y: rates * y, rates), 0.0, torch.ones_like(rates), 1.0)
    assert (y1.abs() < 20 / rates.abs()).all()
    assert y1[-1].abs() < 1e-6


@every_stiff_solver
def test_stiff_solvers_are_a_stable(solver: Solver) -> None:
    """|R(i x)| <= 1 on the imaginary axis, which a complex state shows."""
    rates = 1j * torch.logspace(-3, 6, 60, dtype=torch.float64)
    y1 = one_step(solver, UserField.of(lambda t, y: rates * y, rates), 0.0, torch.ones_like(rates), 1.0)
    assert y1.abs().max() <= 1 + 1e-12
    assert y1[-1].abs() < 1e-4


@every_stiff_solver
def test_steps_are_sized_for_the_solution_and_not_for_the_stiffness(solver: Solver) -> None:
    """Prothero & Robinson (1974): y' = -1e6 (y - cos t) - sin t, y(0) = 1; dopri5 would need dt < 3.3e-6."""
    t = torch.linspace(0, 2, 41, dtype=torch.float64)
    y0 = torch.ones(1, dtype=torch.float64)
    found = solve(
        lambda t, y: -1e6 * (y - torch.cos(t)) - torch.sin(t), y0, t, solver=solver, controller=FixedStep(0.1)
    )
    error = (found.y[:, 0] - torch.cos(t)).abs()
    assert error[::2].max() < 1e-5
    assert error[1::2].max() < {1: 2e-3, 3: 2e-4, 4: 2e-5}[solver.dense_order]


@every_stiff_solver
def test_each_sample_steps_as_if_alone(solver: Solver) -> None:
    dt = tensor(0.3, -0.1, 0.05).view(3, 1)
    together = UserField.of(Oscillator(), BATCH, samples=True)
    y1 = one_step(solver, together, TIMES, BATCH, dt)
    for i in range(3):
        alone = one_step(solver, UserField.of(Oscillator(), BATCH[i]), TIMES[i].item(), BATCH[i], dt[i].item())
        torch.testing.assert_close(y1[i], alone, rtol=1e-13, atol=1e-13)


@every_stiff_solver
def test_a_rejected_step_does_not_change_the_next_try(solver: Solver) -> None:
    y, f = BATCH[0].clone(), UserField.of(Oscillator(), BATCH[0])
    workspace, carry = solver.workspace(y, record=False), solver.start(f, 0.1, y)
    solver.step(f, 0.1, y, 5.0, carry, workspace, estimate=True)
    again = solver.step(f, 0.1, y, 0.1, carry, workspace, estimate=True)
    assert torch.equal(y, BATCH[0])
    assert torch.equal(again.y1, one_step(solver, f, 0.1, y, 0.1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_stiff_solver
def test_reported_evaluations_are_the_calls_of_f(solver: Solver, dtype: torch.dtype) -> None:
    field = Counted(Oscillator().to(dtype))
    t = torch.tensor([0.0, 0.01, 1.0, 3.0], dtype=dtype)
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    stats = solve(field, BATCH[0].to(dtype), t, solver=solver, controller=controller).require_success().stats
    assert stats.nfe_forward == field.calls
    assert stats.n_rejected > 0
    assert (stats.nfe_backward, stats.vjp_backward) == (0, 0)


@every_rosenbrock
def test_a_rosenbrock_step_costs_its_stages_and_the_first_is_kept_after_a_rejection(solver: Solver) -> None:
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    stats = solve(Oscillator(), BATCH[0], tensor(0.0, 3.0), solver=solver, controller=controller).stats
    to_start = 1  # f0, from which the controller would choose a first step
    tried = stats.n_accepted + stats.n_rejected
    assert stats.nfe_forward == to_start + stats.n_accepted + (solver.stages - 1) * tried


@pytest.mark.parametrize(
    ("solver", "rate"), [(IMPLICIT_EULER, 1.0), (RODAS4, 4.0)], ids=lambda x: getattr(x, "name", x)
)
def test_a_singular_matrix_rejects_the_step(solver: Solver, rate: float) -> None:
    """I - gamma dt J = 0 at the first step of 1."""
    controller = PIDController(rtol=1e-3, atol=1e-3, first_step=1.0)
    y0, t = tensor(1.0), tensor(0.0, 2.0)
    solution = solve(lambda t, y: rate * y, y0, t, solver=solver, controller=controller).require_success()
    assert solution.stats.n_rejected > 0
    torch.testing.assert_close(solution.y[-1], tensor(math.exp(2 * rate)), rtol=0.1, atol=0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("batch", ["joint", "independent"])
@every_stiff_solver
def test_first_and_second_derivatives_of_steps_are_exact(solver: Solver, batch: str) -> None:
    """Derivatives of two steps, also through the Jacobian, equal finite differences."""
    dt = tensor(0.2, 0.1, 0.05).view(3, 1) if batch == "independent" else 0.2
    t = TIMES if batch == "independent" else 0.1
    start = BATCH if batch == "independent" else BATCH[0]

    def two_steps(y: Tensor, mu: Tensor) -> Tensor:
        def field(t: Tensor, y: Tensor) -> Tensor:
            return torch.func.functional_call(Oscillator(), {"mu": mu}, (t, y))

        f = UserField.of(field, start, samples=batch == "independent")
        workspace = solver.workspace(y, record=True)
        first = solver.step(f, t, y, dt, solver.start(f, t, y), workspace, estimate=True)
        carry = solver.start(f, t + dt, first.y1) if first.carry is None else first.carry
        second = solver.step(f, t + dt, first.y1, dt, carry, workspace, estimate=True)
        return second.y1 + solver.dense(f, t + dt, first.y1, dt, second).sum(0)

    inputs = (start.clone().requires_grad_(), torch.tensor(3.0, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(two_steps, inputs, rtol=1e-6)
    assert torch.autograd.gradgradcheck(two_steps, inputs, rtol=1e-5)


@every_stiff_solver
def test_backprop_calls_f_never_and_counts_its_products(solver: Solver) -> None:
    """A Rosenbrock stage takes one product; an implicit stage two, for two derivatives; the start of ESDIRK one."""
    field = Counted(Oscillator())
    y0 = BATCH[0].clone().requires_grad_()
    solution = solve(field, y0, tensor(0.0, 1.0), solver=solver, controller=FixedStep(0.1))
    assert solution.stats.vjp_backward == 0
    field.reset()
    solution.y[-1].sum().backward()
    assert field.calls == solution.stats.nfe_backward == 0
    implicit = len(solver.tableau.a) - 1
    products = 20 * implicit + (solver is not IMPLICIT_EULER) if solver.name in ESDIRKS else 10 * solver.stages
    assert solution.stats.vjp_backward == field.vjps == products


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
    message = f"^{solver.name} needs df/dy, but the vector field's output has no derivative in y.*explicit solver"
    with pytest.raises(ValueError, match=message) as refused:
        solve(field, BATCH[0], tensor(0.0, 1.0), solver=solver, controller=FixedStep(0.1))
    assert "\n" not in str(refused.value)


@every_stiff_solver
def test_an_error_raised_by_the_field_itself_is_shown_as_it_is(solver: Solver) -> None:
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


@every_stiff_solver
def test_a_solution_has_no_graph_if_nothing_requires_grad(solver: Solver) -> None:
    """The Jacobians that the steps take leave no graph."""
    field = Oscillator().requires_grad_(False)
    y = solve(field, tensor(1.0, 0.0), tensor(0.0, 2.0), solver=solver, controller=FixedStep(0.5)).y
    assert not y.requires_grad


def test_stiff_solvers_are_registered_under_their_names() -> None:
    assert [SOLVERS[name] for name in STIFF] == list(STIFF.values())
