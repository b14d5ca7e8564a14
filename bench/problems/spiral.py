"""torchdiffeq's toy spiral, with its matrix as the parameter."""

import torch
from torch import Tensor, nn

from bench.problems.base import PROBLEMS, Problem, from_start


class CubicSpiral(nn.Module):
    """y' = y^3 A: y (..., 2) as row vectors, the cube elementwise."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt, which does not depend on t."""
        return y**3 @ self.matrix


SPIRAL = PROBLEMS.register(
    Problem(
        name="spiral",
        equation="y' = y^3 A, A = [[-0.1, 2], [-2, -0.1]], y(0) = (2, 0); A is learnable",
        source="torchdiffeq, examples/ode_demo.py",
        horizon=1.5,
        make=from_start(CubicSpiral, (2.0, 0.0)),
    )
)
