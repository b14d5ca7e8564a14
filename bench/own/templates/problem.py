"""The problem my_problem: a harmonic oscillator whose frequency is learnable."""

import torch
from torch import Tensor, nn

from bench.problems import Instance, problem
from results.records import Cell


class Oscillator(nn.Module):
    """x' = v, v' = -k x, with k as a parameter, so that there is a gradient."""

    def __init__(self, stiffness: float) -> None:
        super().__init__()
        self.stiffness = nn.Parameter(torch.tensor(stiffness))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at y (..., 2)."""
        x, v = y.unbind(-1)
        return torch.stack((v, -self.stiffness * x), dim=-1)


def exact(t: Tensor, *, stiffness: float = 4.0) -> Tensor:
    """The first sample's states (n, 2) at the times t (n,)."""
    w = stiffness**0.5
    return torch.stack((torch.cos(w * t), -w * torch.sin(w * t)), dim=-1)


@problem(horizon=5.0, source="a textbook problem", exact=exact)
def my_problem(cell: Cell, *, stiffness: float = 4.0) -> Instance:
    """x' = v, v' = -k x, (x, v)(0) = (1, 0).

    stiffness: the constant k, which sweeps vary as "problem.stiffness".
    """
    y0 = torch.tensor([[1.0, 0.0]]) + 0.1 * torch.randn(cell.batch_size, 2)
    y0[0] = torch.tensor([1.0, 0.0])
    return Instance(field=Oscillator(stiffness), y0=y0)
