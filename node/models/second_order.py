"""A second-order equation as a vector field of position and velocity."""

import torch
from torch import Tensor, nn

from node.vector_field import VectorField


class SecondOrder(nn.Module):
    """Norcliffe, Bodnar, Day, Simidjievski & Lio (2020), "On Second Order Behaviour in Neural ODEs", NeurIPS.

    x' = v, v' = a(t, (x, v)). y = (x, v): (..., 2 d), positions first; dy/dt: (..., 2 d).
    acceleration: called with the whole state (..., 2 d), returns (..., d), as MLP(2 * d, out=d, ...) does.
    """

    def __init__(self, acceleration: VectorField[Tensor]):
        super().__init__()
        self.acceleration = acceleration

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at (t, y)."""
        _, v = y.chunk(2, dim=-1)
        return torch.cat([v, self.acceleration(t, y)], dim=-1)
