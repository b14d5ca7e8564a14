"""Autocast, replaced parameters and frozen parameters of the forward pass hold in the backward pass of every mode."""

import copy

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, FixedStep, NeuralODE, PIDController, solve
from node.models import MLP
from tests.support.gradients import NET_Y0, Net, relative_error, tensor

T = tensor(0.0, 0.3, 1.0)
TOLERANCE = PIDController(rtol=1e-8, atol=1e-8)


def solver_for(gradient: str) -> str:
    return "reversible_dopri5" if ADJOINTS[gradient].unsupported(SOLVERS["dopri5"]) else "dopri5"


every_mode = pytest.mark.parametrize("how", [{"gradient": g, "solver": solver_for(g)} for g in ADJOINTS], ids=ADJOINTS)
How = dict[str, object]


@every_mode
def test_parameters_passed_by_functional_call_get_the_gradient(how: How) -> None:
    """By the time of the backward pass the module has its own parameters again."""
    model, other = (NeuralODE(Net(), controller=TOLERANCE, **how) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.3)
    given = {name: p.detach().clone().requires_grad_(p.requires_grad) for name, p in other.named_parameters()}
    names = ["vector_field.inner", "vector_field.outer"]
    y = torch.func.functional_call(model, given, (NET_Y0, T))
    found = torch.autograd.grad(y.square().sum(), [given[name] for name in names])
    direct = dict(other.named_parameters())
    true = torch.autograd.grad(other(NET_Y0, T).square().sum(), [direct[name] for name in names])
    assert relative_error(found, true) < 1e-12
    assert all(p.grad is None for p in model.parameters())


@every_mode
def test_a_parameter_that_is_replaced_after_the_solve_still_gets_its_gradient(how: How) -> None:
    net = Net()
    y = solve(net, NET_Y0, T, controller=TOLERANCE, **how).y
    before = net.inner
    net.inner = nn.Parameter(torch.zeros_like(before))
    y.square().sum().backward()
    unchanged = Net()
    solve(unchanged, NET_Y0, T, controller=TOLERANCE, **how).y.square().sum().backward()
    torch.testing.assert_close(before.grad, unchanged.inner.grad)
    assert net.inner.grad is None


@every_mode
def test_autocast_around_the_solve_holds_in_its_backward_pass(how: How) -> None:
    """The matrix products are in bfloat16 in both passes, and the gradient is right to the resolution of bfloat16."""
    torch.manual_seed(0)
    net = MLP(4, width=16)
    seen: list[torch.dtype] = []
    net.net[0].register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    y0 = torch.randn(8, 4)
    how = {**how, "controller": FixedStep(dt=0.1)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = solve(net, y0, T.float(), **how).y
    assert y.dtype == torch.float32
    y.square().sum().backward()
    assert set(seen) == {torch.bfloat16}
    in_float32 = copy.deepcopy(net)
    in_float32.zero_grad()
    solve(in_float32, y0, T.float(), **how).y.square().sum().backward()
    found, true = (tuple(p.grad for p in module.parameters()) for module in (net, in_float32))
    assert 1e-6 < relative_error(found, true) < 0.03


@pytest.mark.parametrize("solver", ["rk4", "ab4", "reversible_heun", "rodas4"])
def test_a_solvers_sums_under_autocast_keep_the_precision_of_the_state(solver: str) -> None:
    """y' = 1e-3 y contains no matrix product, so autocast changes nothing."""

    def end() -> Tensor:
        y0, t = torch.full((3, 2), 1.0), torch.tensor([0.0, 0.55, 1.0])
        return solve(lambda t, y: 1e-3 * y, y0, t, solver=solver, controller=FixedStep(dt=0.1)).y

    with torch.autocast("cpu", dtype=torch.bfloat16):
        with_autocast = end()
    assert torch.equal(with_autocast, end())


@every_mode
def test_a_frozen_net_leaves_the_gradient_in_y0_alone(how: How) -> None:
    net, y0 = Net().requires_grad_(False), NET_Y0.clone().requires_grad_()
    solve(net, y0, T, controller=TOLERANCE, **how).y.square().sum().backward()
    trained, y1 = Net(), NET_Y0.clone().requires_grad_()
    solve(trained, y1, T, controller=TOLERANCE, **how).y.square().sum().backward()
    assert relative_error((y0.grad,), (y1.grad,)) < 1e-7
    assert all(p.grad is None for p in net.parameters())


@every_mode
def test_a_solve_in_which_nothing_requires_grad_leaves_no_graph(how: How) -> None:
    assert not solve(Net().requires_grad_(False), NET_Y0, T, controller=TOLERANCE, **how).y.requires_grad


@every_mode
def test_the_parameters_of_a_closure_get_their_gradients(how: How) -> None:
    """y' = a cos(t) y + y M, in a and in w, from which M = w w^T / 4 is computed."""
    a, w = tensor(0.5).requires_grad_(), torch.eye(2, dtype=torch.float64).requires_grad_()
    matrix = w @ w.T / 4

    def f(t: Tensor, y: Tensor) -> Tensor:
        return a * torch.cos(t) * y + y @ matrix

    def loss(t_end: float, **arguments: object) -> Tensor:
        y0 = tensor(1.0, -0.4)
        return (
            solve(f, y0, tensor(0.0, t_end), controller=TOLERANCE, parameters=(a, matrix), **arguments)
            .y[-1]
            .square()
            .sum()
        )

    found = torch.autograd.grad(loss(1.0, **how), (a, w), retain_graph=True)
    true = torch.autograd.grad(loss(1.0, solver="dopri5", gradient="backprop"), (a, w))
    assert relative_error(found, true) < 1e-6
