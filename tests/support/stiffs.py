"""A single step of a stiff solver, and stiff fields."""

import torch
from torch import Tensor, nn

from node.solvers import Solver
from node.user_field import UserField
from tests.support.gradients import tensor


def one_step(solver: Solver, f: UserField, t: float | Tensor, y: Tensor, dt: float | Tensor) -> Tensor:
    carry = solver.start(f, t, y)
    return solver.step(f, t, y, dt, carry, solver.workspace(y, record=False), estimate=True).y1


class Oscillator(nn.Module):
    """A driven Van der Pol oscillator with a parameter; the samples (..., 2) are independent of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        x, v = y.unbind(-1)
        phase = torch.cos(2 * t).squeeze(-1) if t.dim() else torch.cos(2 * t)
        return torch.stack((v, self.mu * (1 - x * x) * v - x + phase), dim=-1)


BATCH = tensor(2.0, 0.0, -1.0, 0.5, 0.3, 4.0).view(3, 2)
TIMES = tensor(0.1, 0.7, -0.4).view(3, 1)


def van_der_pol(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((y[1], 1000 * (1 - y[0].square()) * y[1] - y[0]))
