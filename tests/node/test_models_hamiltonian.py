"""A Hamiltonian field learns a pendulum and conserves its energy over long times."""

import pytest
import torch
from torch import Tensor, nn

from node import FixedStep, NeuralODE, solve
from node.models import MLP, Hamiltonian

STEPS = FixedStep(dt=0.25)
WINDOW, LONG = torch.linspace(0, 1, 3), torch.linspace(0, 50, 26)


def pendulum(t: Tensor, y: Tensor) -> Tensor:
    q, p = y.chunk(2, dim=-1)
    return torch.cat([p, -q.sin()], dim=-1)


def energy(y: Tensor) -> Tensor:
    q, p = y.unbind(-1)
    return p**2 / 2 - q.cos()


def trained(field: nn.Module) -> NeuralODE:
    """A model trained on short windows of 32 trajectories."""
    y0 = 3 * torch.rand(32, 2) - 1.5
    target = solve(pendulum, y0, WINDOW, solver="rk4", controller=FixedStep(dt=0.05)).y
    model = NeuralODE(field, "rk4", controller=STEPS)
    optimiser = torch.optim.Adam(field.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        (model(y0, WINDOW) - target).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        assert (model(y0, WINDOW) - target).square().mean() < 1e-3
    return model


def drift(model: NeuralODE) -> float:
    """The mean change of the pendulum's true energy over long trajectories that the model predicts."""
    y0 = 2 * torch.rand(32, 2, generator=torch.Generator().manual_seed(1)) - 1
    with torch.no_grad():
        h = energy(model(y0, LONG))
    return (h - h[0]).abs()[-5:].mean().item()


@pytest.mark.exhaustive
def test_a_learned_hamiltonian_conserves_the_energy_and_a_plain_field_does_not() -> None:
    """The prediction is fifty times as long as the windows, to which both models fit to 1e-3."""
    torch.manual_seed(0)
    hamiltonian = trained(Hamiltonian(MLP(2, width=32, out=1)))
    plain = trained(MLP(2, width=32))
    assert drift(hamiltonian) < 0.02
    assert drift(plain) > 5 * drift(hamiltonian)
