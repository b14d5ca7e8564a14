"""Where gradients flow: outputs, samples, dtypes and parameters; and that a solve changes none of its arguments."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, ContinuousAdjoint, FixedStep, PIDController, solve
from node.solvers import Solver
from node.solvers.explicit.stages import weights
from node.user_field import UserField
from tests.support.gradients import (
    NET_Y0,
    TOLERANCE,
    Growth,
    Net,
    Spiral,
    every_adaptive_solver,
    every_gradient,
    every_solver,
    gradient_of,
    mean_abs,
    relative_error,
    tensor,
)


@every_gradient
def test_the_output_at_the_start_has_the_identity_as_its_gradient_in_y0(gradient: str) -> None:
    y0 = tensor(1.0, 2.0).requires_grad_()
    y = solve(Spiral(), y0, tensor(0.0, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    y[0].square().sum().backward()
    torch.testing.assert_close(y0.grad, tensor(2.0, 4.0), rtol=0, atol=1e-6)


@every_gradient
def test_a_solve_with_one_output_time_has_the_identity_as_its_gradient(gradient: str) -> None:
    y0 = tensor(1.0, 2.0).requires_grad_()
    y = solve(Spiral(), y0, tensor(0.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    y.square().sum().backward()
    assert torch.equal(y0.grad, tensor(2.0, 4.0))


@every_gradient
def test_gradient_of_a_loss_over_all_outputs_is_the_sum_of_the_gradients_at_each(gradient: str) -> None:
    net, t = Net(), tensor(0.0, 0.1, 0.5, 0.6, 1.0)
    y0, w = torch.linspace(-1, 1, 3, dtype=torch.float64), torch.arange(1.0, 16.0, dtype=torch.float64).reshape(5, 3)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    together = gradient_of(lambda y: (w * y).sum(), net, y0, t, **how)
    alone = [gradient_of(lambda y, i=i: (w * y)[i].sum(), net, y0, t, **how) for i in range(1, len(t))]
    summed = [sum(parts) for parts in zip(*alone, strict=True)]
    summed[0] = summed[0] + w[0]  # the output at the start is y0
    assert relative_error(together, tuple(summed)) < 1e-6


@every_gradient
def test_gradient_of_a_batch_is_that_of_its_samples_one_by_one(gradient: str) -> None:
    net, t = Net(), tensor(0.0, 0.35, 1.0)
    y0 = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.05), "gradient": gradient}
    batch = gradient_of(lambda y: y.square().sum(), net, y0, t, **how)
    samples = [gradient_of(lambda y: y.square().sum(), net, sample, t, **how) for sample in y0]
    by_sample = (torch.stack([g[0] for g in samples]), sum(g[1] for g in samples), sum(g[2] for g in samples))
    assert relative_error(batch, by_sample) < 1e-13


@every_gradient
def test_gradient_in_float32_equals_that_in_float64_to_single_precision(gradient: str) -> None:
    y0, t = NET_Y0, tensor(0.0, 0.35, 1.0)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.05), "gradient": gradient}
    double = gradient_of(mean_abs, Net(), y0, t, **how)
    single = gradient_of(mean_abs, Net(torch.float32), y0.float(), t.float(), **how)
    assert {g.dtype for g in single} == {torch.float32}
    assert 0 < relative_error(tuple(g.double() for g in single), double) < 1e-5


@every_gradient
def test_gradients_of_float32_parameters_are_float32_beside_a_float64_state(gradient: str) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = nn.Parameter(torch.tensor(0.5))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.rate * y

    found = gradient_of(
        lambda y: y[-1].sum(), Mixed(), tensor(1.0), tensor(0.0, 1.0),
        solver="dopri5", controller=TOLERANCE, gradient=gradient,
    )  # fmt: skip
    assert [g.dtype for g in found] == [torch.float64, torch.float32]
    assert found[0].item() == pytest.approx(math.exp(0.5), rel=1e-6)
    assert found[1].item() == pytest.approx(math.exp(0.5), rel=1e-6)


@every_gradient
def test_unused_and_frozen_parameters_get_no_gradient(gradient: str) -> None:
    net = Net()
    y0 = tensor(0.1, 0.2, 0.3).requires_grad_()
    solve(net, y0, tensor(0.0, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y.sum().backward()
    assert net.unused.grad is None or not net.unused.grad.any()
    assert net.frozen.grad is None
    assert all(x.grad.abs().max() > 0 for x in (y0, net.inner, net.outer))


@every_gradient
def test_parameters_get_their_gradients_beside_a_state_that_needs_none(gradient: str) -> None:
    net, y0 = Net(), tensor(0.1, 0.2, 0.3)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    solve(net, y0, tensor(0.0, 1.0), **how).y.abs().mean().backward()
    _, inner, outer = gradient_of(mean_abs, Net(), y0, tensor(0.0, 1.0), **how)
    assert y0.grad is None
    torch.testing.assert_close((net.inner.grad, net.outer.grad), (inner, outer), rtol=1e-12, atol=0)


@every_gradient
def test_a_field_without_parameters_gives_the_gradient_in_y0(gradient: str) -> None:
    """y' = -y^2 from y0: y(1) = y0 / (1 + y0), dy(1)/dy0 = 1 / (1 + y0)^2."""
    y0 = tensor(0.5, 2.0).requires_grad_()
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient, "parameters": ()}
    solve(lambda t, y: -(y**2), y0, tensor(0.0, 1.0), **how).y[-1].sum().backward()
    torch.testing.assert_close(y0.grad, 1 / (1 + y0.detach()) ** 2, rtol=1e-6, atol=0)


@every_gradient
def test_the_parameters_passed_to_a_solve_may_be_computed_from_others(gradient: str) -> None:
    """z' = a^2 z with parameters=(a^2,), as with a hypernetwork: the gradient reaches a."""
    a = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    rate = a**2
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient, "parameters": (rate,)}
    solve(lambda t, z: rate * z, tensor(1.5), tensor(0.0, 1.0), **how).y[-1].sum().backward()
    assert a.grad.item() == pytest.approx(2 * 0.8 * 1.5 * math.exp(0.64), rel=1e-6)


@every_gradient
def test_backwards_in_time_gradients_are_those_of_the_inverse_flow(gradient: str) -> None:
    """z' = alpha z, solved from T back to 0: z(0) = z(T) exp(-alpha T)."""
    z0, alpha, t_end = 1.3, 0.7, 1.5
    found = gradient_of(
        lambda z: z[-1].sum(), Growth(), tensor(z0), tensor(t_end, 0.4, 0.0),
        solver="dopri5", controller=TOLERANCE, gradient=gradient,
    )  # fmt: skip
    assert found[0].item() == pytest.approx(math.exp(-alpha * t_end), rel=1e-6)
    assert found[1].item() == pytest.approx(-t_end * z0 * math.exp(-alpha * t_end), rel=1e-6)


@pytest.mark.parametrize("no_graph", [torch.no_grad, torch.inference_mode])
@every_gradient
@every_solver
def test_under_no_grad_the_states_are_the_same_and_have_no_graph(
    solver: Solver, gradient: str, no_graph: Callable[[], object]
) -> None:
    net, t = Net(), tensor(0.0, 0.33, 1.0)
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": gradient}
    y0 = tensor(0.1, 0.2, 0.3).requires_grad_()
    recorded = solve(net, y0, t, **how).y
    with no_graph():
        bare = solve(net, y0, t, **how).y
    assert recorded.requires_grad
    assert not bare.requires_grad
    assert bare.grad_fn is None
    torch.testing.assert_close(bare, recorded.detach(), rtol=1e-14, atol=1e-15)


@every_solver
def test_training_works_after_a_solve_in_inference_mode(solver: Solver) -> None:
    weights.cache_clear()
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": "backprop"}
    with torch.inference_mode():
        solve(Net(), tensor(0.1, 0.2, 0.3), tensor(0.0, 0.33, 1.0), **how)
    found = gradient_of(mean_abs, Net(), tensor(0.1, 0.2, 0.3), tensor(0.0, 0.33, 1.0), **how)
    assert all(g.isfinite().all() and g.any() for g in found)


def test_the_solver_and_tolerance_of_the_adjoint_change_the_backward_pass_alone() -> None:
    net, t, y0 = Net(), tensor(0.0, 1.0), tensor(0.1, 0.2, 0.3)
    forward = {"solver": "bosh3", "controller": PIDController(rtol=1e-4, atol=1e-4)}
    coarse, fine = (
        ContinuousAdjoint(solver=SOLVERS["dopri5"], controller=PIDController(rtol=tolerance, atol=tolerance))
        for tolerance in (1e-3, 1e-9)
    )
    a = solve(net, y0.clone().requires_grad_(), t, gradient=coarse, **forward)
    b = solve(net, y0.clone().requires_grad_(), t, gradient=fine, **forward)
    assert torch.equal(a.y, b.y)
    a.y.sum().backward()
    b.y.sum().backward()
    assert a.stats.nfe_forward == b.stats.nfe_forward
    assert a.stats.nfe_backward < b.stats.nfe_backward
    assert a.stats.nfe_backward % 6 == 3  # one to check that f is unchanged; dopri5: two to start, six a step


@every_gradient
def test_gradient_of_a_scalar_state_is_a_scalar(gradient: str) -> None:
    z0 = torch.tensor(1.3, dtype=torch.float64)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    found = gradient_of(lambda z: z[-1], Growth(), z0, tensor(0.0, 1.0), **how)
    assert [g.shape for g in found] == [(), ()]
    assert found[0].item() == pytest.approx(math.exp(0.7), rel=1e-6)


@every_gradient
def test_a_solve_and_its_backward_pass_change_neither_parameters_nor_states(gradient: str) -> None:
    net, y0 = Net(), tensor(0.1, 0.2, 0.3).requires_grad_()
    before = [p.detach().clone() for p in (*net.parameters(), y0)]
    y = solve(net, y0, tensor(0.0, 0.5, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    states = y.detach().clone()
    y.sum().backward()
    assert all(torch.equal(p, q) for p, q in zip((*net.parameters(), y0), before, strict=True))
    assert torch.equal(y, states)


@pytest.mark.parametrize("controller", [TOLERANCE, FixedStep(dt=0.1)], ids=["adaptive", "fixed"])
def test_the_adjoint_restarts_from_the_forward_state_at_each_output(
    controller: PIDController | FixedStep,
) -> None:
    """At each output time the backward solve takes the state of the forward pass, not its own, which has drifted."""
    seen: list[tuple[float, Tensor]] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.item(), y.detach().clone()))
        return -3 * y

    y0, t = tensor(1.0, -2.0).requires_grad_(), tensor(0.0, 0.5, 1.0)
    y = solve(f, y0, t, solver="dopri5", controller=controller, gradient="adjoint", parameters=()).y
    seen.clear()
    y.sum().backward()
    for time, state in zip((1.0, 0.5), (y[2], y[1]), strict=True):
        assert any(then == time and torch.equal(found, state) for then, found in seen)


def test_unused_parameters_do_not_change_the_steps_of_the_adjoint() -> None:
    """The error norm is the largest of those of y, of the adjoint a and of the parameters: zeros do not dilute it."""

    def backward_cost(*parameters: Tensor) -> int:
        y0 = tensor(1.0, -2.0).requires_grad_()
        how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": "adjoint", "parameters": parameters}
        solution = solve(lambda t, y: torch.cos(3 * t) * y, y0, tensor(0.0, 2.0), **how)
        solution.y.square().sum().backward()
        return solution.stats.nfe_backward

    assert backward_cost(torch.zeros(1000, dtype=torch.float64, requires_grad=True)) == backward_cost()


@every_adaptive_solver
def test_the_error_estimate_leaves_no_graph(name: str) -> None:
    solver, y0 = SOLVERS[name], tensor(1.0, -2.0).requires_grad_()
    f = UserField.of(lambda t, y: -(y**2), y0)
    step = solver.step(f, 0.0, y0, 0.1, solver.start(f, 0.0, y0), solver.workspace(y0, record=True), estimate=True)
    assert step.y1.requires_grad
    assert not step.error.requires_grad
