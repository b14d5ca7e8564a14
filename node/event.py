"""Events: a solve that stops where a function of its state changes sign."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from node.dense import DensePiece
from node.errors import CallError, CallTypeError
from node.layout import State
from node.vector_field import RightHandSide, S


@dataclass(frozen=True)
class Event:
    """Stops the solve where g(t, y) changes its sign: any entry of g, a tensor of any shape or a Python number.

    direction: +1 for a rise through zero only, -1 for a fall, 0 for both. False to True is a rise. For an entry that is
    zero at the start its sign in the first step counts; for an entry that is NaN its last sign. Two sign changes within
    one step are not seen. The event's time has a gradient where g has a nonzero time derivative along the solution: not
    where it is flat, boolean or detached.

    Where each sample has its own steps, t is (B, 1, ..., 1), g has shape (B,) or (B, m) with the entries of each sample
    in its row, and each sample stops at its own root.
    """

    g: Callable[[Tensor, Any], Tensor | float]
    direction: int = 0

    def __post_init__(self) -> None:
        if self.direction not in (-1, 0, 1):
            raise CallError(f"Event: direction is {self.direction!r} and must be -1, 0 or 1")

    def entries(self, t: Tensor, y: State) -> Tensor:
        """The entries of g as a vector; for booleans, 1 for True and -1 for False."""
        g = self.g(t, y)
        if not isinstance(g, Tensor):
            if not isinstance(g, bool | int | float) and not hasattr(g, "__array__"):
                raise CallTypeError(f"g returned a {type(g).__name__}: an event is a tensor of any shape, or a number")
            g = torch.as_tensor(g, dtype=torch.float64 if isinstance(g, float) else None, device="cpu")
        g = g.reshape(-1)
        if g.is_complex():
            raise CallError(f"g returned {g.dtype}, which has no sign: pass g.real, or another real function")
        return 2.0 * g - 1.0 if g.dtype is torch.bool else g


class EventPoint(NamedTuple, Generic[S]):
    """The time and state at which an event stopped a solve. Both can be differentiated as the solve can.

    Where each sample has its own steps, t is (B,) and y has the batch's shape: NaN in samples without an event.
    """

    t: Tensor  # 0-dimensional
    y: S


class FlatEvent:
    """An event as the loop checks it: g of a flat state, and the last signs of its entries.

    entry: the flat index of the entry of g whose sign has changed, once the event is located.
    """

    def __init__(self, event: Event, f: RightHandSide, t: float, y: Tensor) -> None:
        """Record the signs at the start (t, y)."""
        self._event = event
        self._f = f
        self._signs = self._changed = torch.zeros((), device="cpu")
        self._signs = self._signs_at(t, y)
        self.entry = 0

    def happened(self, t: float, y: Tensor) -> bool:
        """Whether an entry has changed its sign in the step that ends at (t, y)."""
        signs = self._signs_at(t, y)
        if self._has_changed(signs):
            return True
        self._signs = torch.where(signs == 0, self._signs, signs)
        return False

    def locate(self, piece: DensePiece, end: tuple[float, Tensor] | None = None) -> float:
        """The time of the first sign change on the step's dense output, by bisection to the resolution of time.

        end: the time and state at the end of a shorter step. Dense output is less exact, in float32 by up to a hundred
        roundings, and is shifted to agree with this state.
        """
        if end is not None:
            piece = piece._replace(y=piece.y + (end[1] - piece.at([end[0]])[0]))
        before, after = 0.0, 1.0
        while True:
            middle = (before + after) / 2
            time = piece.t + middle * piece.dt
            if middle in (before, after) or time in (piece.t + before * piece.dt, piece.t + after * piece.dt):
                self.entry = int(self._changed.int().argmax())
                return piece.t + after * piece.dt
            if self._has_changed(self._signs_at(time, piece.at([time])[0])):
                after = middle
            else:
                before = middle

    def _signs_at(self, t: float, y: Tensor) -> Tensor:
        with torch.no_grad():
            g = self._event.entries(self._f.time(t), self._f.restore(y))
            return torch.where(g.isnan(), self._signs, torch.sign(g))

    def _has_changed(self, signs: Tensor) -> bool:
        """Whether an entry has changed its sign in the required direction; `_changed` stores which ones."""
        before = self._signs
        changed = (before != 0) & (signs != before)
        if self._event.direction != 0:
            changed &= before == -self._event.direction
        if not changed.any():
            return False
        self._changed = changed
        return True
