"""The wrapper of a user's vector field through which solvers call it."""

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
    """A call of f at the start of a solve that was made before the solve."""

    t: Time
    y: Tensor  # flat
    dy: Tensor  # the flat f(t, y)

    def is_at(self, t: Time, y: Tensor) -> bool:
        """Whether this is the call at (t, y)."""
        same_time = torch.equal(t, self.t) if isinstance(t, Tensor) and isinstance(self.t, Tensor) else t == self.t
        return bool(same_time) and torch.equal(y, self.y)


@final
class UserField:
    """A user's f as a solver calls it (`RightHandSide`): with a float for time and a flat vector for the state.

    This is the only place in `node` that calls a user's f, so that `calls` is the number of function evaluations (NFE).
    With per-sample stepping the state is (B, n) and time a column (B, 1).
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
        self._has_limits = False
        self._t, self._time = math.nan, torch.empty(0, device="cpu")  # the time of the last call and its tensor
        self._column_limits: tuple[Tensor, Tensor] | None = None  # with `samples`, each (B, 1)
        self._has_versions = not (torch.is_inference_mode_enabled() or layout.is_inference)
        self._returned: Tensor | None = None  # the result of the first call, to see if the second has the same memory
        self._makes_new_tensors = False  # whether f is known to return new memory in each call
        self._first: FirstCall | None = None

    @classmethod
    def of(cls, f: VectorField[Any], y0: State, *, samples: bool = False) -> "UserField":
        """The field for states like y0; with `samples` each sample has its own time."""
        return cls(f, layout_of(y0, samples=samples))

    def reuse_call(self, first: FirstCall, calls: int) -> None:
        """Count calls made before the solve; the first call here returns the result of `first` if it equals it."""
        self._first = first
        self.calls = calls

    def can_reuse(self, first: FirstCall, t: Time, y: Tensor) -> bool:
        """Whether the result of a call made before the solve can be used for the call at (t, y)."""
        return not self._has_limits and self._column_limits is None and first.is_at(t, y)

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """The flat slope dy/dt at time t and flat state y, in memory that f does not write to again."""
        if self._first is not None:
            first, self._first = self._first, None
            if self.can_reuse(first, t, y):
                return first.dy
        layout = self._plain
        if layout is None:
            return self._flattened(t, y)
        # The same for one tensor in the solver's dtype, inlined: in a small solve Python calls cost as much as f does.
        self.calls += 1
        like = layout.template
        if type(t) is not float or self._has_limits:
            time = self.time(t)
        elif t == self._t:
            time = self._time
        else:
            self._t = t
            time = self._time = torch.scalar_tensor(t, dtype=self._time_dtype, device=self._device)
        before = None if self._makes_new_tensors else y.detach().clone()  # the first y is the user's own y0
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
                not self._makes_new_tensors
                or getrefcount(dy) > _ONE_REFERENCE
                or ((base := dy._base) is not None and getrefcount(base) > _ONE_REFERENCE)
            ):
                dy = self._unshared(dy)
            return dy if self._is_flat else dy.reshape_as(layout.flat_template)
        return layout.flatten(dy)

    def restore(self, y: Tensor) -> State:
        """The user's state of a flat vector."""
        return self.layout.restore(y)

    def _flattened(self, t: Time, y: Tensor) -> Tensor:
        """The flat slope for a state of any layout, always as a copy of what f returned."""
        layout = self.layout
        dy = self.evaluate(t, y, layout.restore(y))
        return layout.flatten(dy.clone() if isinstance(dy, Tensor) and dy.dtype == layout.dtype else dy)

    def evaluate(self, t: Time, y: Tensor, state: State) -> Any:
        """The unchanged return value of f for a state that was restored from flat y."""
        self.calls += 1
        time = self.time(t)
        if not self._has_versions:
            return self.f(time, state)
        version, of_time = y._version, time._version
        dy = self.f(time, state)
        if y._version != version or time._version != of_time:
            self._refuse_writes(y, version)
        return dy

    def _unshared(self, dy: Tensor) -> Tensor:
        """A copy of what f returned, as others may hold it: it may be f's own buffer, a constant or y itself.

        The first two calls also show a buffer behind new tensors, as made by `torch.from_numpy` or `detach()`.
        """
        check_place(dy, self._device)
        if self._makes_new_tensors or is_wrapped(dy):
            return dy.clone()
        before, self._returned = self._returned, dy
        if before is not None and before.data_ptr() != dy.data_ptr():
            self._makes_new_tensors, self._returned = True, None
        return dy.clone()

    def _refuse_writes(self, y: Tensor, version: int | None, before: Tensor | None = None) -> None:
        """Raise a CallError for an f that writes into t or y, and reset y.

        version: that of y before the call, if it has one. before: the values of y before the call.
        """
        what = "t" if version is not None and y._version == version else "y"
        if before is not None:
            y.detach().copy_(before)
        raise CallError(
            f"the vector field writes into {what}, from which the solve continues: compute with new tensors, "
            f"or begin with {what} = {what}.clone()"
        )

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """The slope for a Jacobian that is computed at once, by products that are not part of a backward pass."""
        self._first = None
        return self(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """The slope itself; a field that counts products counts those of dy in a backward pass from now on."""
        return dy

    def time(self, t: Time) -> Tensor:
        """The time tensor that the user's f is called with; consecutive calls at one time share it."""
        if isinstance(t, Tensor):
            if self._column_limits is not None:
                t = t.clamp(*self._column_limits)
            return t if t.dim() == len(self._time_shape) else t.view(self._time_shape)
        if t != self._t:
            self._t, (first, last) = t, self._limits
            self._time = torch.scalar_tensor(min(max(t, first), last), dtype=self._time_dtype, device=self._device)
        return self._time

    def between(self, first: float, last: float) -> None:
        """Restrict later calls of f to the open interval, so that f gives its one-sided limits at the ends."""
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
        self._has_limits = limits != (-math.inf, math.inf)
        self._t = math.nan

    def between_columns(self, first: Tensor, last: Tensor) -> None:
        """Restrict later calls of f to an open interval for each sample: columns (B, 1) in the solver's dtype."""
        low, high = torch.minimum(first, last), torch.maximum(first, last)
        self._column_limits = torch.nextafter(low, high), torch.nextafter(high, low)


def _single_reference_count() -> int:
    """The value of `getrefcount` for a tensor that only one local name refers to."""
    x = torch.empty(0)
    return getrefcount(x)


_ONE_REFERENCE = _single_reference_count()
