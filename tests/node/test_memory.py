"""The peak of live bytes in a training step, measured at the allocator, as a function of the number of steps."""

import functools
import math

import pytest
import torch
import torchdiffeq
from torch import Tensor

from bench.measures.memory import peak_bytes
from node import FixedStep, PIDController, solve
from node.adjoint import Adjoint, Backprop, Checkpointed, ContinuousAdjoint, Reversible
from node.models import MLP

BATCH, FEATURES = 64, 64
STATE = BATCH * FEATURES * 4  # bytes of a state


@functools.cache
def net() -> tuple[MLP, Tensor]:
    torch.manual_seed(0)
    return MLP(FEATURES, width=32), torch.randn(BATCH, FEATURES)


def training_step(y: Tensor) -> None:
    for parameter in net()[0].parameters():
        parameter.grad = None
    y[-1].square().mean().backward()


def peak(gradient: Adjoint, solver: str, steps: int) -> int:
    field, y0 = net()
    controller = FixedStep(dt=1 / steps)

    def call() -> None:
        how = {"solver": solver, "controller": controller, "gradient": gradient}
        training_step(solve(field, y0, torch.tensor([0.0, 1.0]), **how).y)

    return peak_bytes(call, "cpu")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("gradient", "solver"),
    [(ContinuousAdjoint(), "midpoint"), (Reversible(), "reversible_midpoint"), (Reversible(), "alf")],
    ids=["adjoint", "reversible midpoint", "reversible alf"],
)
def test_memory_does_not_grow_with_the_number_of_steps(gradient: Adjoint, solver: str) -> None:
    assert peak(gradient, solver, 1000) == pytest.approx(peak(gradient, solver, 10), rel=0.05)


@pytest.mark.exhaustive
def test_with_a_checkpoint_a_step_memory_grows_by_one_state_a_step() -> None:
    grown = peak(Checkpointed(), "midpoint", 1000) - peak(Checkpointed(), "midpoint", 10)
    assert 0.99 * 990 <= grown / STATE <= 1.02 * 990


@pytest.mark.exhaustive
@pytest.mark.parametrize("steps", [100, 1000])
def test_with_a_budget_of_the_square_root_of_the_steps_memory_grows_by_that_many_states(steps: int) -> None:
    budget = math.isqrt(steps)
    grown = peak(Checkpointed(budget), "midpoint", steps) - peak(Checkpointed(3), "midpoint", 10)
    assert grown <= budget * STATE + 100 * steps  # the times of a step are some Python numbers


@pytest.mark.exhaustive
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_backprops_memory_is_no_more_than_torchdiffeqs(tolerance: float) -> None:
    field, y0 = net()
    t, controller = torch.tensor([0.0, 4.0]), PIDController(rtol=tolerance, atol=tolerance)

    def ours() -> None:
        training_step(solve(field, y0, t, solver="dopri5", controller=controller).y)

    def theirs() -> None:
        training_step(torchdiffeq.odeint(field, y0, t, rtol=tolerance, atol=tolerance, method="dopri5"))

    assert peak_bytes(ours, "cpu") <= peak_bytes(theirs, "cpu")


@pytest.mark.exhaustive
def test_backprops_memory_grows_with_every_step() -> None:
    few, more, many = (peak(Backprop(), "midpoint", steps) for steps in (50, 100, 200))
    assert many - more == pytest.approx(2 * (more - few), rel=0.05)
