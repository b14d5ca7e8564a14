"""Revolve's schedule: the fewest recomputed steps for a given number of checkpoints."""

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
    """The fewest steps without a graph that reverse n steps, found by trying every place for the first checkpoint."""
    if n <= 1:
        return 0
    if free == 0:
        return n * (n - 1) // 2
    return min(m + fewest(n - m, free - 1) + fewest(m, free) for m in range(1, n))


def by_the_schedule(n: int, free: int) -> int:
    """The number of steps without a graph that the schedule takes to reverse n steps."""
    if n <= 1:
        return 0
    if free == 0:
        return n * (n - 1) // 2
    m = split(n, free)
    return m + by_the_schedule(n - m, free - 1) + by_the_schedule(m, free)


@pytest.mark.parametrize("free", [1, 2, 3, 4, 7, 20])
def test_no_schedule_recomputes_fewer_steps(free: int) -> None:
    assert [by_the_schedule(n, free) for n in range(1, 60)] == [fewest(n, free) for n in range(1, 60)]


def solved(budget: int | None, steps: int) -> Solution[Tensor]:
    y0 = tensor(1.0, -0.5).requires_grad_()
    how = {"solver": "euler", "controller": FixedStep(dt=1 / steps), "gradient": Checkpointed(budget)}
    return solve(lambda t, y: torch.sin(y), y0, tensor(0.0, 1.0), parameters=(), **how)


def test_with_a_checkpoint_a_step_each_step_is_recomputed_once() -> None:
    solution = solved(None, 40)
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == solution.stats.vjp_backward == 40


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 39])
def test_a_second_backward_pass_recomputes_as_many_steps_as_revolve(budget: int) -> None:
    """The first pass may use states that the forward pass has kept; the second has only the state of step 0."""
    solution = solved(budget, 40)
    solution.y[-1].sum().backward(retain_graph=True)
    once = solution.stats.nfe_backward
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward - once == 40 + fewest(40, budget)
    assert once <= 40 + fewest(40, budget)


def test_with_a_budget_of_all_steps_each_step_is_recomputed_once() -> None:
    solution = solved(40, 40)
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == 40


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_below_one_is_refused(budget: int) -> None:
    with pytest.raises(ValueError, match=rf"^Checkpointed: budget is {budget} and must be 1 or more"):
        Checkpointed(budget)


def test_second_derivatives_count_a_parameter_that_y0_depends_on_once() -> None:
    """y(1) = a e^a from y0 = a: its second derivative is (a + 2) e^a."""
    field = Growth()
    a = field.alpha
    y = solve(
        field, a.reshape(1), tensor(0.0, 1.0), solver="dopri8", controller=FixedStep(dt=0.1), gradient="checkpointed"
    ).y
    (first,) = torch.autograd.grad(y[-1], a, create_graph=True)
    (second,) = torch.autograd.grad(first, a)
    assert second.item() == pytest.approx((0.7 + 2) * math.exp(0.7), abs=1e-8)
