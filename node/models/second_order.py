"""A second-order equation as a vector field of position and velocity."""

import torch
from torch import Tensor, nn

from node.derivatives import check_constant
from node.models.base import MODELS
from node.vector_field import VectorField


@MODELS.register(name="second_order")
class SecondOrder(nn.Module):
    """Norcliffe, Bodnar, Day, Simidjievski & Lio (2020), "On Second Order Behaviour in Neural ODEs", NeurIPS.

    x' = v, v' = a(t, (x, v)). y = (x, v): (..., 2 d), positions first; dy/dt: (..., 2 d).
    acceleration: called with the whole state (..., 2 d), returns (..., d), as MLP(2 * d, out=d, ...) does.
    """

    def __init__(self, acceleration: VectorField[Tensor]) -> None:
        super().__init__()
        self.acceleration = acceleration

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at (t, y)."""
        _, v = y.chunk(2, dim=-1)
        a = self.acceleration(t, y)
        # The solve's own check does not find a missing derivative of a, as the graph of v makes dy/dt depend on y.
        if y.requires_grad and torch.is_grad_enabled() and not a.requires_grad:
            needs, output = "the gradient of a solve needs da/dy", "the acceleration"
            check_constant(lambda near: self.acceleration(t, near), (y,), needs=needs, output=output)
        return torch.cat([v, a], dim=-1)
