"""Samples that need different numbers of steps, for the tests of per-sample stepping."""

import torch
from torch import Tensor, nn

from node import PIDController, Solution, solve
from node.layout import State

FEW = ["bosh3", "dopri5", "vern7"]  # FSAL; FSAL with its own dense output; no FSAL, with stages of dense output
TOLERANCE = PIDController(rtol=1e-3, atol=1e-3)


def tensor(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Pendulum(nn.Module):
    """A driven and damped pendulum, which needs more steps the larger its amplitude is."""

    def __init__(self) -> None:
        super().__init__()
        self.damping = nn.Parameter(tensor(0.1))
        self.drive = nn.Parameter(tensor(0.7))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        angle, speed = y[..., :1], y[..., 1:]
        pull = self.drive * torch.cos(3 * t) - 9 * torch.sin(angle) - self.damping * speed
        return torch.cat((speed.expand_as(pull), pull), dim=-1)


def explosion(t: Tensor, y: Tensor) -> Tensor:
    """y' = y^2, whose solution from y0 > 0 has a pole at t = 1 / y0."""
    return y * y


Y0 = tensor([0.1, 0.0], [3.1, 0.0], [-2.0, 6.0])
T = tensor(0.0, 0.01, 0.02, 0.4, 0.7, 0.999999, 1.0)
DIRECTIONS = {"forwards": T, "backwards": 1 - T}


def together(f: nn.Module, y0: State, t: Tensor, **how: object) -> Solution:
    return solve(f, y0, t, batch="independent", **how)


def alone(f: nn.Module, y0: Tensor, t: Tensor, **how: object) -> list[Solution]:
    """The solution of each sample without a batch, at its own times."""
    times = t.expand(len(y0), -1)
    return [solve(f, y, row, **how) for y, row in zip(y0, times, strict=True)]


def assert_as_alone(batch: Solution, samples: list[Solution], atol: float = 1e-9) -> None:
    assert batch.samples.status == tuple(sample.status for sample in samples)
    assert batch.samples.n_accepted.tolist() == [sample.stats.n_accepted for sample in samples]
    assert batch.samples.n_rejected.tolist() == [sample.stats.n_rejected for sample in samples]
    expected = torch.stack([sample.y for sample in samples], dim=1)
    torch.testing.assert_close(batch.y, expected, rtol=0, atol=atol, equal_nan=True)
