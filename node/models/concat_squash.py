"""The concat-squash network of FFJORD as a vector field."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from node.models.base import MODELS


class ConcatSquashLinear(nn.Module):
    """(W x + b) * sigmoid(w t + c) + v t: a linear layer with a gate and a shift that depend on time.

    x: (..., n_in); t: (), or of shape (..., 1) that broadcasts against x. Returns (..., n_out).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.gate = nn.Linear(1, n_out)
        self.shift = nn.Linear(1, n_out, bias=False)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """The layer at time t."""
        t = torch.atleast_1d(t).to(x.dtype)  # t is float32 where x has half precision
        shifted: Tensor = self.linear(x) * torch.sigmoid(self.gate(t)) + self.shift(t)
        return shifted


@MODELS.register(name="concat_squash")
class ConcatSquash(nn.Module):
    """Grathwohl, Chen, Bettencourt, Sutskever & Duvenaud (2019), "FFJORD", ICLR: the "concatsquash" net of its code.

    A perceptron of ConcatSquashLinear layers, with `depth` hidden layers of `width`: time acts in each layer, where an
    MLP has it among its inputs only. y: (..., features); dy/dt: (..., features).
    """

    def __init__(
        self,
        features: int,
        *,
        width: int,
        depth: int = 1,
        activation: Callable[[], nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__()
        widths = [features, *[width] * depth, features]
        self.layers = nn.ModuleList(itertools.starmap(ConcatSquashLinear, itertools.pairwise(widths)))
        self.activation = activation()

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at (t, y)."""
        first, *others = self.layers
        y = first(t, y)
        for layer in others:
            y = layer(t, self.activation(y))
        return y
