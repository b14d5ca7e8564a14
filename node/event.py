"""Events: a solve that stops where a function of its state changes sign."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor

from node.dense import DensePiece
from node.vector_field import FlatField, S


@dataclass(frozen=True)
class Event:
    """Stops the solve where g(t, y) changes its sign: any entry of g, which is a tensor of any shape.

    direction: +1 for a rise through zero only, -1 for a fall, 0 for both. An entry that is zero at the start has the
    sign that it takes in the first step. A root that comes and goes within one step is not seen.

    Where each sample has its own steps, t is (B, 1, ..., 1), g is of shape (B,) or (B, m) with entries of each sample's
    own, and each sample stops at its own root.
    """

    g: Callable[[Tensor, Any], Tensor]
    direction: int = 0

    def __post_init__(self) -> None:
        if self.direction not in (-1, 0, 1):
            raise ValueError(f"Event: direction is {self.direction!r} and must be -1, 0 or 1")


class EventPoint(NamedTuple, Generic[S]):
    """Where a solve was stopped. Both can be differentiated as the solve can.

    Where each sample has its own steps, t is (B,) and y of the batch's shape: NaN in samples that had no event.
    """

    t: Tensor  # 0-dimensional
    y: S


class FlatEvent:
    """An event as the loop watches it: g of a flat state, and the signs that it had last."""

    def __init__(self, event: Event, f: FlatField):
        self._event = event
        self._f = f
        self._signs = torch.zeros((), device="cpu")

    def start(self, t: float, y: Tensor) -> None:
        """Take the signs at the start."""
        self._signs = torch.sign(self._g(t, y))

    def happened(self, t: float, y: Tensor) -> bool:
        """Whether an entry has changed its sign in the step that ends at (t, y)."""
        signs = torch.sign(self._g(t, y))
        if bool((self._changed(signs)).any()):
            return True
        self._signs = torch.where(signs == 0, self._signs, signs)
        return False

    def locate(self, piece: DensePiece) -> float:
        """The time of the first change on the step's dense output, by bisection down to the resolution of time."""
        before, after = 0.0, 1.0
        while True:
            middle = (before + after) / 2
            time = piece.t + middle * piece.dt
            if middle in (before, after) or time in (piece.t + before * piece.dt, piece.t + after * piece.dt):
                return piece.t + after * piece.dt
            signs = torch.sign(self._g(time, piece.at([time])[0]))
            if bool(self._changed(signs).any()):
                after = middle
            else:
                before = middle

    def _g(self, t: float, y: Tensor) -> Tensor:
        with torch.no_grad():
            return self._event.g(self._f.time(t), self._f.layout.restore(y))

    def _changed(self, signs: Tensor) -> Tensor:
        changed = signs * self._signs < 0
        changed |= (signs == 0) & (self._signs != 0)
        return changed if self._event.direction == 0 else changed & (self._signs == -self._event.direction)
