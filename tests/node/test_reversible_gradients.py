"""Gradients through steps of reversible solvers, by a graph and from recovered states, and through dense output."""

import torch
from torch import Tensor

from node import FixedStep, solve
from node.solvers import (
    ReversibleSolver,
)
from node.user_field import UserField
from tests.support.reversibles import every_method, forwards, parts, tensor


@every_method
def test_gradients_through_steps_equal_finite_differences(solver: ReversibleSolver) -> None:
    a = tensor(0.3, -1.2, 0.8, 0.1).reshape(2, 2).requires_grad_()

    def stepped(y: Tensor, a: Tensor) -> tuple[Tensor, ...]:
        f = UserField.of(lambda t, y: torch.tanh(a @ y) * torch.cos(t), y)
        return parts(forwards(solver, f, 0.0, y, [0.3, 0.2], record=True)[1][-1])

    assert torch.autograd.gradcheck(stepped, (tensor(0.5, -1.0).requires_grad_(), a))


@every_method
def test_gradients_of_dense_output_equal_finite_differences(solver: ReversibleSolver) -> None:
    def dense(y: Tensor, a: Tensor) -> Tensor:
        t = tensor(0.0, 0.1, 0.25, 0.5)
        return solve(lambda t, y: torch.tanh(a * y) * torch.cos(t), y, t, solver=solver, controller=FixedStep(0.2)).y

    assert torch.autograd.gradcheck(dense, (tensor(0.5, -1.0).requires_grad_(), tensor(1.2).requires_grad_()))


@every_method
def test_a_gradient_from_recovered_states_equals_that_through_the_graph(solver: ReversibleSolver) -> None:
    """Each step is reversed, recomputed with its own graph, and differentiated."""
    a = tensor(0.3, -1.2, 0.8, 0.1).reshape(2, 2).requires_grad_()
    f = UserField.of(lambda t, y: torch.tanh(a @ y) * torch.cos(t), tensor(0.0, 0.0))
    sizes, y0 = [0.1 * (1 + i % 2) for i in range(20)], tensor(0.5, -1.0).requires_grad_()
    times, with_graph = forwards(solver, f, 0.0, y0, sizes, record=True)
    true = torch.autograd.grad(with_graph[-1][0].square().sum(), (y0, a))

    with torch.no_grad():
        state = forwards(solver, f, 0.0, y0, sizes)[1][-1]
        bare, recording = solver.workspace(y0, record=False), solver.workspace(y0, record=True)
    grads, dl_da = [2 * state[0], *map(torch.zeros_like, parts(state)[1:])], torch.zeros_like(a)
    for t, dt in zip(reversed(times[:-1]), reversed(sizes), strict=True):
        with torch.no_grad():
            y, carry = solver.reverse(f, t, state[0], dt, state[1], bare)
        leaves = [part.detach().requires_grad_() for part in parts((y, carry))]
        step = solver.step(
            f, t, leaves[0], dt, leaves[1] if len(leaves) == 2 else tuple(leaves[1:]), recording, estimate=False
        )
        *grads, da = torch.autograd.grad(parts((step.y1, step.carry)), (*leaves, a), grads, materialize_grads=True)
        dl_da, state = dl_da + da, (y, carry)
    leaf = y0.detach().requires_grad_()
    start = parts((leaf, solver.start(f, 0.0, leaf)))
    dl_dy0, da = torch.autograd.grad(start, (leaf, a), grads, materialize_grads=True, allow_unused=True)
    torch.testing.assert_close((dl_dy0, dl_da + da), true, rtol=1e-11, atol=1e-11)
