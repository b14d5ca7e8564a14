"""A field learns an oscillation from positions if it has a velocity or depends on time, and cannot otherwise."""

from collections.abc import Callable

import pytest
import torch
from scipy.optimize import isotonic_regression
from torch import nn

from node import FixedStep, NeuralODE
from node.models import MLP, ConcatSquash, SecondOrder

T = torch.linspace(0, 2 * torch.pi, 13)
POSITIONS = torch.cos(T)
# Solutions of an autonomous field in one dimension are monotone, so none fits better than the best monotone function.
BEST_MONOTONE = min(
    float(((isotonic_regression(POSITIONS, increasing=up).x - POSITIONS.numpy()) ** 2).mean()) for up in (True, False)
)


def losses_of(field: nn.Module, *y0: float) -> list[float]:
    """The mean squared errors of the position in each step of training the field."""
    model = NeuralODE(field, "rk4", controller=FixedStep(dt=0.55))
    optimiser = torch.optim.Adam(field.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, total_steps=120)
    losses = []
    for _ in range(120):
        optimiser.zero_grad()
        loss = (model(torch.tensor(y0), T)[:, 0] - POSITIONS).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.exhaustive
def test_an_autonomous_field_in_one_dimension_stays_above_the_best_monotone_fit() -> None:
    losses = losses_of(MLP(1, width=16), 1.0)
    assert pytest.approx(0.36, abs=0.05) == BEST_MONOTONE
    assert min(losses) > BEST_MONOTONE - 1e-3
    assert losses[-1] < BEST_MONOTONE + 0.1


def test_a_second_order_field_learns_the_oscillation() -> None:
    """If the velocity did not drive the position, or were constant, the position would be monotone."""
    losses = losses_of(SecondOrder(MLP(2, width=16, out=1)), 1.0, 0.0)
    assert losses[-1] < BEST_MONOTONE / 10


def with_time() -> nn.Module:
    return MLP(1, width=32, depth=2, time=True)


def concat_squash() -> nn.Module:
    return ConcatSquash(1, width=32, depth=2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("field", [with_time, concat_squash], ids=lambda field: field.__name__)
def test_a_field_with_time_learns_the_oscillation(field: Callable[[], nn.Module]) -> None:
    """Without the time the solutions of the field would be monotone."""
    assert losses_of(field(), 1.0)[-1] < BEST_MONOTONE / 2
