"""Modes that are exact for the computed solution: checkpointed, reversible and forward give backprop's gradient."""

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, FixedGrid, FixedStep, PIDController, SolveError, Status, solve
from node.adjoint import Adjoint, Backprop, Checkpointed, ContinuousAdjoint, Forward, Reversible
from node.solvers import AsynchronousLeapfrog, Solver
from tests.support.families import ADAPTIVE, REVERSIBLE
from tests.support.gradients import NET_Y0, Net, Spiral, gradient_of, mean_abs, relative_error, tensor

# Outputs at the ends of steps of 1/16, within steps, and two within one step.
T = tensor(0.0, 0.13, 0.25, 0.26, 0.27, 0.5, 0.8, 1.0)
TOLERANCE = PIDController(rtol=1e-4, atol=1e-4)
CONTROLLERS = {"fixed": FixedStep(dt=1 / 16), "adaptive": TOLERANCE}
EXACT = {
    "checkpointed": (Checkpointed(), 1e-12),
    "budget 1": (Checkpointed(budget=1), 1e-12),
    "budget 3": (Checkpointed(budget=3), 1e-12),
    "budget 1000": (Checkpointed(budget=1000), 1e-12),
    "reversible": (Reversible(), 1e-10),
    "forward": (Forward(), 1e-12),
}
CASES = {
    f"{name}-{kind}-{label}": (solver, kind, mode, tolerance)
    for name, solver in SOLVERS.items()
    for kind in CONTROLLERS
    for label, (mode, tolerance) in EXACT.items()
    if (kind == "fixed" or solver.adaptive) and not mode.unsupported(solver)
}
every_exact_mode = pytest.mark.parametrize("mode", [Checkpointed(), Checkpointed(2), Reversible(), Forward()], ids=str)


def solver_for(mode: Adjoint) -> Solver:
    return SOLVERS["reversible_dopri5" if isinstance(mode, Reversible) else "dopri5"]


@pytest.mark.parametrize(("solver", "kind", "mode", "tolerance"), CASES.values(), ids=CASES)
def test_the_gradient_equals_backprops_through_the_same_steps(
    solver: Solver, kind: str, mode: Adjoint, tolerance: float
) -> None:
    how = {"solver": solver, "controller": CONTROLLERS[kind]}
    by_backprop = gradient_of(mean_abs, Net(), NET_Y0, T, gradient=Backprop(), **how)
    assert relative_error(gradient_of(mean_abs, Net(), NET_Y0, T, gradient=mode, **how), by_backprop) < tolerance


@pytest.mark.exhaustive
@pytest.mark.parametrize("budget", [1, 2, 5, 8, 31, 32, None])
def test_any_budget_gives_the_same_gradient_of_a_thousand_steps(budget: int | None) -> None:
    how = {"solver": "heun", "controller": FixedStep(dt=0.0125 if budget == 1 else 0.0015)}
    t = tensor(0.0, 0.7, 1.5)
    by_backprop = gradient_of(mean_abs, Spiral(), tensor(2.0, 0.0), t, gradient="backprop", **how)
    found = gradient_of(mean_abs, Spiral(), tensor(2.0, 0.0), t, gradient=Checkpointed(budget), **how)
    assert relative_error(found, by_backprop) < 1e-12


class Pendulum(nn.Module):
    """A pendulum without damping, on which reversible methods are stable."""

    def __init__(self) -> None:
        super().__init__()
        self.stiffness = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.stack((y[..., 1], -self.stiffness[0] * torch.sin(y[..., 0])), dim=-1)


@pytest.mark.exhaustive
@pytest.mark.separable
@pytest.mark.parametrize("name", REVERSIBLE)
def test_a_thousand_fixed_steps_give_backprops_gradient_in_reversible_mode(name: str) -> None:
    how = {"solver": name, "controller": FixedStep(dt=0.01)}
    t, y0 = tensor(0.0, 3.3, 10.0), tensor(1.5, 0.0)
    by_backprop = gradient_of(mean_abs, Pendulum(), y0, t, gradient="backprop", **how)
    assert relative_error(gradient_of(mean_abs, Pendulum(), y0, t, gradient="reversible", **how), by_backprop) < 1e-8


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in REVERSIBLE if name in ADAPTIVE])
def test_a_thousand_adaptive_steps_give_backprops_gradient_in_reversible_mode(name: str) -> None:
    controller = PIDController(rtol=1e-5, atol=1e-5, max_step=0.01)
    how = {"solver": name, "controller": controller}
    t, y0 = tensor(0.0, 3.3, 10.0), tensor(1.5, 0.0)
    by_backprop = gradient_of(mean_abs, Pendulum(), y0, t, gradient="backprop", **how)
    assert relative_error(gradient_of(mean_abs, Pendulum(), y0, t, gradient="reversible", **how), by_backprop) < 1e-8


@every_exact_mode
def test_gradcheck_passes(mode: Adjoint) -> None:
    def states(y0: Tensor, p: Tensor) -> Tensor:
        def f(t: Tensor, y: Tensor) -> Tensor:
            return torch.sin(y @ p) * torch.cos(t) - y**2 / 2

        how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.2), "gradient": mode, "parameters": (p,)}
        return solve(f, y0, tensor(0.0, 0.2, 0.33, 0.61, 0.8), **how).y

    p = torch.tensor([[0.3, -1.1], [0.8, 0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(states, (tensor(0.9, -0.4).requires_grad_(), p))


@pytest.mark.parametrize("mode", [Checkpointed(), Checkpointed(2), Reversible()], ids=str)
def test_gradgradcheck_passes(mode: Adjoint) -> None:
    def states(y0: Tensor, p: Tensor) -> Tensor:
        how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.25), "gradient": mode, "parameters": (p,)}
        return solve(lambda t, y: -p * y**2 * torch.cos(t), y0, tensor(0.0, 0.25, 0.4, 1.0), **how).y

    assert torch.autograd.gradgradcheck(states, (tensor(0.9).requires_grad_(), tensor(0.7).requires_grad_()))


def test_a_refused_second_derivative_names_the_modes_that_have_it() -> None:
    gradient, y0 = "forward", tensor(0.9).requires_grad_()
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient, "parameters": ()}
    y = solve(lambda t, y: -(y**2), y0, tensor(0.0, 1.0), **how).y
    (first,) = torch.autograd.grad(y[-1].square().sum(), y0, create_graph=True)
    with pytest.raises(RuntimeError, match=rf"^{gradient} gives first .* take gradient='backprop' or 'checkpointed'"):
        torch.autograd.grad(first.sum(), y0)


@every_exact_mode
def test_gradients_pass_through_dense_output(mode: Adjoint) -> None:
    def gradients(gradient: Adjoint) -> tuple[Tensor, ...]:
        net, y0 = Net(), NET_Y0.clone().requires_grad_()
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": gradient}
        solution = solve(net, y0, tensor(0.0, 0.4, 1.0), dense=True, **how)
        loss = solution.dense(tensor(0.0, 0.17, 0.7, 1.0)).square().sum() + solution.y.square().sum()
        return torch.autograd.grad(loss, (y0, net.inner, net.outer))

    assert relative_error(gradients(mode), gradients(Backprop())) < 1e-12


@every_exact_mode
@pytest.mark.parametrize("gridded", [False, True], ids=["jump_t", "one-sided grid"])
def test_recomputed_steps_are_restarted_after_a_jump_of_f_as_in_the_forward_pass(mode: Adjoint, gridded: bool) -> None:
    net = Net()

    class Jumps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.net(t, y) * (1.0 if t < 0.4 else -2.0)

    grid = FixedGrid(times=(0.0, 0.1, 0.25, 0.4, 0.7, 1.0), one_sided=True)
    how = {
        "solver": solver_for(mode),
        "controller": grid if gridded else PIDController(rtol=1e-4, atol=1e-4, jump_t=(0.4,)),
    }

    def gradients(gradient: Adjoint) -> tuple[Tensor, ...]:
        y0 = NET_Y0.clone().requires_grad_()
        y = solve(Jumps(), y0, tensor(0.0, 0.3, 0.9, 1.0), gradient=gradient, **how).require_success().y
        return torch.autograd.grad(y.square().sum(), (y0, net.inner, net.outer))

    assert relative_error(gradients(mode), gradients(Backprop())) < 1e-12


@every_exact_mode
def test_a_tuple_state_has_backprops_gradients(mode: Adjoint) -> None:
    w = tensor(0.5, -0.8).requires_grad_()

    def f(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return w * y[1].sum(), torch.cos(t) * y[1] * y[0][0]

    def gradients(gradient: Adjoint) -> tuple[Tensor, ...]:
        y0 = tensor(1.0, 0.3).requires_grad_(), torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": gradient, "parameters": (w,)}
        a, b = solve(f, y0, T, **how).y
        return torch.autograd.grad(a.square().sum() + b.sum(), (*y0, w))

    assert relative_error(gradients(mode), gradients(Backprop())) < 1e-12


def test_a_mode_refuses_solvers_that_it_does_not_support() -> None:
    how = {"controller": FixedStep(dt=0.1), "parameters": ()}
    for gradient, solver, reason in (
        ("reversible", "dopri5", r"dopri5 cannot be undone: take a reversible solver, .* or gradient='checkpointed'"),
        ("forward", "rodas4", r"rodas4 takes the Jacobian .*: take an explicit solver or gradient='backprop'"),
    ):
        with pytest.raises(ValueError, match=rf"^gradient='{gradient}': {reason}"):
            solve(lambda t, y: -y, tensor(1.0), tensor(0.0, 1.0), solver=solver, gradient=gradient, **how)


def test_steps_that_rounding_keeps_from_being_reversed_raise() -> None:
    """The reverse of a damped leapfrog multiplies rounding by 1 / |1 - 2 eta|, which is 5 a step here."""
    y0 = tensor(1.5, 0.0).requires_grad_()
    how = {"solver": AsynchronousLeapfrog(eta=0.6), "controller": FixedStep(dt=0.05), "gradient": "reversible"}
    solution = solve(Pendulum(), y0, tensor(0.0, 5.0), **how)
    with pytest.raises(SolveError, match=r"^reversible: a relative error of .*: reversing the steps does not recover"):
        solution.y[-1].sum().backward()
    assert solution.stats.status_backward is Status.diverged


@pytest.mark.parametrize("mode", [Checkpointed(), Checkpointed(2), Reversible()], ids=str)
def test_a_gradient_that_is_not_finite_raises(mode: Adjoint) -> None:
    """A square root has no derivative at zero, where the first evaluation is."""
    y0 = tensor(0.0).requires_grad_()
    how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.1), "gradient": mode, "parameters": ()}
    solution = solve(lambda t, y: torch.sqrt(y.abs()) + 1, y0, tensor(0.0, 1.0), **how).require_success()
    with pytest.raises(SolveError, match=rf"^{mode.name}: the gradient is not finite: "):
        solution.y[-1].sum().backward()
    assert solution.stats.status_backward is Status.non_finite


def test_tangents_that_are_not_finite_end_the_solve() -> None:
    y0 = tensor(0.0).requires_grad_()
    how = {"solver": "dopri5", "controller": FixedStep(dt=0.1), "gradient": "forward", "parameters": ()}
    solution = solve(lambda t, y: torch.sqrt(y.abs()) + 1, y0, tensor(0.0, 1.0), **how)
    assert solution.status is Status.non_finite


@pytest.mark.parametrize("mode", [Checkpointed(), Reversible(), Forward(), ContinuousAdjoint()], ids=lambda m: m.name)
def test_the_status_of_the_backward_pass_is_none_before_it_and_success_after(mode: Adjoint) -> None:
    y0 = tensor(1.0).requires_grad_()
    how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode, "parameters": ()}
    solution = solve(lambda t, y: -y, y0, tensor(0.0, 1.0), **how)
    assert solution.stats.status_backward is None
    solution.y[-1].sum().backward()
    assert solution.stats.status_backward is Status.success
