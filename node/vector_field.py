"""The right-hand side of dy/dt = f(t, y), as users write it and as solvers call it."""

from typing import Protocol

import torch
from torch import Tensor, nn


class VectorField(Protocol):
    """f(t, y) -> dy/dt: t a 0-dimensional tensor in y's real dtype, y and dy/dt of one shape."""

    def __call__(self, t: Tensor, y: Tensor, /) -> Tensor:
        """dy/dt at (t, y)."""


class FlatField:
    """f with a float for time and a flat vector for state: what a solver's step calls.

    The only place in `node` that calls a user's f, so `calls` is the number of function evaluations (NFE).
    """

    def __init__(self, f: VectorField, y0: Tensor):
        self.f = f
        self.shape = y0.shape
        self._shaped = y0.detach()
        self.dtype = y0.dtype
        self.device = y0.device
        self.calls = 0

    def __call__(self, t: float, y: Tensor) -> Tensor:
        """dy/dt, flat, at time t and flat state y."""
        self.calls += 1
        time = torch.full((), t, dtype=self.dtype, device=self.device)
        dy = self.f(time, y.view_as(self._shaped))
        if dy.shape != self.shape:
            raise ValueError(
                f"the vector field returned shape {tuple(dy.shape)} for a state of shape {tuple(self.shape)}: "
                "dy/dt must have the state's shape"
            )
        return dy.reshape(-1) if dy.dtype == self.dtype else dy.reshape(-1).to(self.dtype)


class Counted(nn.Module):
    """A vector field that counts its own calls and the vector-Jacobian products taken through them.

    Works under any library that calls f(t, y), so NFE is counted and not inferred. A product is counted when
    the backward pass reaches a call's output; it is of use where f is traced, not where time is measured.
    """

    def __init__(self, f: VectorField):
        super().__init__()
        self.f = f
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self.calls = 0
        self.vjps = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt of the wrapped field, unchanged."""
        self.calls += 1
        dy = self.f(t, y)
        if dy.requires_grad:
            dy.register_hook(self._count_vjp)
        return dy

    def _count_vjp(self, _: Tensor) -> None:
        self.vjps += 1
