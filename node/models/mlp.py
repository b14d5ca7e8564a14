"""The multilayer perceptron as a vector field."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from node.models.base import MODELS


@MODELS.register(name="mlp")
class MLP(nn.Module):
    """f(t, y) = W_d s(... s(W_1 y + b_1)) + b_d: a vector field on the last dimension.

    y: (..., features); dy/dt: (..., features), or (..., out) if `out` is given, for use as a part of a vector field.
    With `time`, t is appended to y. `std`: weights are drawn from N(0, std^2) and biases are zero, as in
    torchdiffeq's ode_demo; None keeps torch's own initialisation.
    """

    def __init__(
        self,
        features: int,
        *,
        width: int,
        depth: int = 1,
        activation: Callable[[], nn.Module] = nn.Tanh,
        time: bool = False,
        std: float | None = None,
        out: int | None = None,
    ) -> None:
        super().__init__()
        self.time = time
        widths = [features + time, *[width] * depth, features if out is None else out]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), activation()]
        self.net = nn.Sequential(*layers[:-1])
        if std is not None:
            self._draw(std)

    def _draw(self, std: float) -> None:
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=std)
                nn.init.zeros_(layer.bias)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at (t, y)."""
        if self.time:
            y = torch.cat([y, t.to(y.dtype).expand(*y.shape[:-1], 1)], dim=-1)
        dy: Tensor = self.net(y)
        return dy
