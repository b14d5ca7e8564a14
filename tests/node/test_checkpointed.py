"""Revolve's schedule: as few steps recomputed as can be, with as many states as were granted."""

import functools
import math

import pytest
import torch
from torch import Tensor

from node import FixedStep, Solution, solve
from node.adjoint import Checkpointed
from node.adjoint.checkpointed import split
from tests.support.gradients import Growth, tensor


@functools.cache
def fewest(n: int, free: int) -> int:
    """Steps that must be taken without a graph to reverse n of them, by trying every place for the first checkpoint."""
    if n <= 1:
        return 0
    if free == 0:
        return n * (n - 1) // 2
    return min(m + fewest(n - m, free - 1) + fewest(m, free) for m in range(1, n))


def taken(n: int, free: int) -> int:
    """The same, by the schedule."""
    if n <= 1:
        return 0
    if free == 0:
        return n * (n - 1) // 2
    m = split(n, free)
    return m + taken(n - m, free - 1) + taken(m, free)


@pytest.mark.parametrize("free", [1, 2, 3, 4, 7, 20])
def test_no_schedule_takes_fewer_steps_again(free: int) -> None:
    assert [taken(n, free) for n in range(1, 60)] == [fewest(n, free) for n in range(1, 60)]


def solved(budget: int | None, steps: int) -> Solution[Tensor]:
    y0 = tensor(1.0, -0.5).requires_grad_()
    how = {"solver": "euler", "controller": FixedStep(dt=1 / steps), "gradient": Checkpointed(budget)}
    return solve(lambda t, y: torch.sin(y), y0, tensor(0.0, 1.0), parameters=(), **how)


def test_a_checkpoint_a_step_takes_each_step_again_once() -> None:
    solution = solved(None, 40)
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == solution.stats.vjp_backward == 40


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 39])
def test_without_a_stretch_kept_as_many_steps_are_recomputed_as_by_revolve(budget: int) -> None:
    """In a second backward pass the states of the first one are gone: step 0 is all there is."""
    solution = solved(budget, 40)
    solution.y[-1].sum().backward(retain_graph=True)
    once = solution.stats.nfe_backward
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward - once == 40 + fewest(40, budget)
    assert once <= 40 + fewest(40, budget)


def test_a_budget_for_all_steps_is_a_checkpoint_a_step() -> None:
    solution = solved(40, 40)
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == 40


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_of_no_state_is_refused(budget: int) -> None:
    with pytest.raises(ValueError, match=rf"^Checkpointed: budget is {budget} and must be 1 or more"):
        Checkpointed(budget)


def test_second_derivatives_count_what_y0_depends_on_once() -> None:
    """y(1) = a e^a from y0 = a: its second derivative is (a + 2) e^a."""
    field = Growth()
    a = field.alpha
    y = solve(
        field, a.reshape(1), tensor(0.0, 1.0), solver="dopri8", controller=FixedStep(dt=0.1), gradient="checkpointed"
    ).y
    (first,) = torch.autograd.grad(y[-1], a, create_graph=True)
    (second,) = torch.autograd.grad(first, a)
    assert second.item() == pytest.approx((0.7 + 2) * math.exp(0.7), abs=1e-8)
