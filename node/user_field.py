"""A user's vector field as solvers call it."""

import math
from sys import getrefcount
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from node.errors import CallError
from node.layout import Layout, State, TensorLayout, check_place, layout_of
from node.torch_private import is_wrapped
from node.vector_field import Time, VectorField


class FirstCall(NamedTuple):
    """A call of f at a solve's start that was made before the solve."""

    t: Time
    y: Tensor  # flat
    dy: Tensor  # f there, flat

    def is_at(self, t: Time, y: Tensor) -> bool:
        """Whether this is the call at (t, y)."""
        same_time = torch.equal(t, self.t) if isinstance(t, Tensor) and isinstance(self.t, Tensor) else t == self.t
        return bool(same_time) and torch.equal(y, self.y)


@final
class UserField:
    """A user's f as a solver calls it (`RightHandSide`): with a float for time and a flat vector for state.

    The only place in `node` that calls a user's f, so `calls` is the number of function evaluations (NFE). With
    per-sample stepping the state is (B, n) and time a column (B, 1).
    """

    def __init__(self, f: VectorField[Any], layout: Layout) -> None:
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
        self._has_versions = not (torch.is_inference_mode_enabled() or layout.is_inference)
        self._returned: Tensor | None = None  # by the first call, until the second tells whether f fills one tensor
        self._trusted = False  # whether what f returns is known to be new memory in each call
        self._first: FirstCall | None = None

    @classmethod
    def of(cls, f: VectorField[Any], y0: State, *, samples: bool = False) -> "UserField":
        """The field for states like y0; with `samples` each of them has its own time."""
        return cls(f, layout_of(y0, samples=samples))

    def starts_with(self, first: FirstCall, calls: int) -> None:
        """Count calls that were made before, and let one of them answer the first one here, if that is at its state."""
        self._first = first
        self.calls = calls

    def is_answered_by(self, first: FirstCall, t: Time, y: Tensor) -> bool:
        """Whether a call that was made before the solve is the one at (t, y)."""
        return not self._confined and self._column_limits is None and first.is_at(t, y)

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, flat, at time t and flat state y; in memory that f does not write to again."""
        if self._first is not None:
            first, self._first = self._first, None
            if self.is_answered_by(first, t, y):
                return first.dy
        layout = self._plain
        if layout is None:
            return self._flattened(t, y)
        # One tensor, in the solver's dtype: the same, written out. In a small solve calls cost as much as f does.
        self.calls += 1
        like = layout.template
        if type(t) is not float or self._confined:
            time = self.time(t)
        elif t == self._t:
            time = self._time
        else:
            self._t = t
            time = self._time = torch.scalar_tensor(t, dtype=self._time_dtype, device=self._device)
        before = None if self._trusted else y.detach().clone()  # the user's own y0, at first
        if self._has_versions:
            version = y._version
            of_time = time._version
            dy = self.f(time, y if self._is_flat else y.view_as(like))
            if y._version != version or time._version != of_time:
                self._refuse_writes(y, version, before)
        else:
            dy = self.f(time, y if self._is_flat else y.view_as(like))
            if before is not None and not torch.equal(before, y):
                self._refuse_writes(y, None, before)
        if isinstance(dy, Tensor) and dy.shape == like.shape and dy.dtype == like.dtype:
            if (
                not self._trusted
                or getrefcount(dy) > _ALONE
                or ((base := dy._base) is not None and getrefcount(base) > _ALONE)
            ):
                dy = self._own(dy)
            return dy if self._is_flat else dy.reshape_as(layout.flat_template)
        return layout.flatten(dy)

    def restore(self, y: Tensor) -> State:
        """The user's state of a flat one."""
        return self.layout.restore(y)

    def _flattened(self, t: Time, y: Tensor) -> Tensor:
        """A call for a state of any layout, whose flattening makes a copy, but of one tensor in the solver's dtype."""
        layout = self.layout
        dy = self.called(t, y, layout.restore(y))
        return layout.flatten(dy.clone() if isinstance(dy, Tensor) and dy.dtype == layout.dtype else dy)

    def called(self, t: Time, y: Tensor, state: State) -> Any:
        """What f gives for a state that is flat y restored, as it is."""
        self.calls += 1
        time = self.time(t)
        if not self._has_versions:
            return self.f(time, state)
        version, of_time = y._version, time._version
        dy = self.f(time, state)
        if y._version != version or time._version != of_time:
            self._refuse_writes(y, version)
        return dy

    def _own(self, dy: Tensor) -> Tensor:
        """What f has returned, or a copy where somebody else may hold it: f's own buffer, a constant, y itself.

        The first two calls tell of a buffer behind new tensors, as of `torch.from_numpy` or `detach()`.
        """
        check_place(dy, self._device)
        if self._trusted or is_wrapped(dy):
            return dy.clone()
        before, self._returned = self._returned, dy
        if before is not None and before.data_ptr() != dy.data_ptr():
            self._trusted, self._returned = True, None
        return dy.clone()

    def _refuse_writes(self, y: Tensor, version: int | None, before: Tensor | None = None) -> None:
        """version: of y before the call, where it has one. before: what y was, to be so again."""
        what = "t" if version is not None and y._version == version else "y"
        if before is not None:
            y.detach().copy_(before)
        raise CallError(
            f"the vector field writes into {what}, from which the solve continues: compute with new tensors, "
            f"or begin with {what} = {what}.clone()"
        )

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """As a call whose Jacobian is taken there and then, by products that belong to no backward pass."""
        self._first = None
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


def _references() -> int:
    """How many references `getrefcount` counts for a tensor that only one name in a function holds."""
    x = torch.empty(0)
    return getrefcount(x)


_ALONE = _references()
