"""The right-hand side of dy/dt = f(t, y), as users write it and as solvers call it."""

import math
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from node.layout import Layout, State, TensorLayout, layout_of

S = TypeVar("S", bound=State)
Time = float | Tensor  # a float; with per-sample stepping a column (B, 1) in the solver's dtype


class VectorField(Protocol[S]):
    """f(t, y) -> dy/dt: y and dy/dt tensors of one shape, or tuples of such.

    t: 0-dimensional, in y's real dtype (float32 for a half); with per-sample stepping (B, 1, ..., 1), so that it
    broadcasts against y. It is to be left as it is: several calls at one time are given one tensor.
    """

    def __call__(self, t: Tensor, y: S, /) -> S:
        """dy/dt at (t, y)."""


class FlatField:
    """f with a float for time and a flat vector for state: what a solver's step calls.

    The only place in `node` that calls a user's f, so `calls` is the number of function evaluations (NFE). With
    per-sample stepping the state is (B, n) and time a column (B, 1).
    """

    def __init__(self, f: VectorField[Any], layout: Layout):
        self.f = f
        self.layout = layout
        self._plain = layout if isinstance(layout, TensorLayout) and layout.template.dtype == layout.dtype else None
        self._is_flat = layout.shape == layout.flat_shape
        self.calls = 0
        self._time_dtype = layout.dtype.to_real()
        self._time_shape = (-1, *(1,) * (len(layout.shape) - 1)) if layout.samples else ()
        self._device = layout.device
        self._limits = (-math.inf, math.inf)
        self._confined = False
        self._t, self._time = math.nan, torch.empty(0, device="cpu")  # of the last call
        self._column_limits: tuple[Tensor, Tensor] | None = None  # with `samples`, each (B, 1)

    @classmethod
    def of(cls, f: VectorField[Any], y0: State, *, samples: bool = False) -> "FlatField":
        """The field for states like y0; with `samples` each of them has its own time."""
        return cls(f, layout_of(y0, samples=samples))

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, flat, at time t and flat state y."""
        self.calls += 1
        layout = self._plain
        if layout is None:
            return self.layout.flatten(self.f(self.time(t), self.layout.restore(y)))
        # One tensor, in the solver's dtype: the same, written out. In a small solve calls cost as much as f does.
        like = layout.template
        if type(t) is not float or self._confined:
            time = self.time(t)
        elif t == self._t:
            time = self._time
        else:
            self._t = t
            time = self._time = torch.scalar_tensor(t, dtype=self._time_dtype, device=self._device)
        dy = self.f(time, y if self._is_flat else y.view_as(like))
        if isinstance(dy, Tensor) and dy.shape == like.shape and dy.dtype == like.dtype:
            return dy if self._is_flat else dy.reshape_as(layout.flat_template)
        return layout.flatten(dy)

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """As a call whose Jacobian is taken there and then, by products that belong to no backward pass."""
        return self(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """dy, whose products in a backward pass count from now on where such are counted."""
        return dy

    def time(self, t: Time) -> Tensor:
        """What the user's f gets for time: for calls at one time in a row, one tensor."""
        if isinstance(t, Tensor):
            if self._column_limits is not None:
                t = t.clamp(*self._column_limits)
            return t if t.dim() == len(self._time_shape) else t.view(self._time_shape)
        if t != self._t:
            self._t, (first, last) = t, self._limits
            self._time = torch.scalar_tensor(min(max(t, first), last), dtype=self._time_dtype, device=self._device)
        return self._time

    def between(self, first: float, last: float) -> None:
        """From now on f is called within the open interval only: at its ends, with its limits from inside."""
        ends = torch.tensor([min(first, last), max(first, last)], dtype=self._time_dtype, device="cpu")
        inside = torch.nextafter(ends, ends.flip(0)).tolist()
        self.limits = (inside[0], inside[1])

    @property
    def limits(self) -> tuple[float, float]:
        """The first and the last time at which f is called."""
        return self._limits

    @limits.setter
    def limits(self, limits: tuple[float, float]) -> None:
        self._limits = limits
        self._confined = limits != (-math.inf, math.inf)
        self._t = math.nan

    def between_columns(self, first: Tensor, last: Tensor) -> None:
        """As `between`, for each sample: columns (B, 1) in the solver's dtype."""
        low, high = torch.minimum(first, last), torch.maximum(first, last)
        self._column_limits = torch.nextafter(low, high), torch.nextafter(high, low)


class Counted(nn.Module):
    """A vector field that counts its own calls and the vector-Jacobian products taken through them.

    Works under any library that calls f(t, y), so NFE is counted and not inferred. A product is counted when
    the backward pass reaches a call's output; it is of use where f is traced, not where time is measured.
    """

    def __init__(self, f: VectorField[Tensor]):
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
