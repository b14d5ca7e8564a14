"""Who is told of the steps of a solve, and what is made of them: callbacks' calls, dense output, logs."""

from typing import Any, Generic, TypeVar

from torch import Tensor

from node.solvers.base import Step
from node.trajectory import Callbacks
from node.vector_field import RightHandSide

Piece = TypeVar("Piece")


class Observer(Generic[Piece]):
    """Who is told of each step by the loop; where samples have their own steps, of each try that some sample accepts.

    Times are then tensors, as `Callbacks` has them, and a piece of dense output is a SamplePiece, not a DensePiece.
    """

    asks_tries = False  # whether it is told of each step as it is tried, accepted or rejected
    asks_dense = False  # whether it is told of each accepted step's dense output, which is then evaluated
    asks_taken = False  # whether it is told of accepted steps as they can be recomputed

    def trying(self, t: Any, y: Tensor, dt: Any) -> None:
        """Hear of a step of size dt from (t, y) before it is tried, if `asks_tries`."""

    def accepted(self, t: Any, y: Tensor, dt: Any) -> None:
        """Hear that this step was accepted, if `asks_tries`."""

    def rejected(self, t: Any, y: Tensor, dt: Any) -> None:
        """Hear that this step was rejected, if `asks_tries`."""

    def dense(self, piece: Piece) -> None:
        """Hear of an accepted step's dense output, if `asks_dense`."""

    def taken(self, taken: Any, y: Tensor, carry: Any, step: Step) -> None:
        """Hear of an accepted step, a TakenStep or TakenTry, with the y and carry at its start, if `asks_taken`."""


class CallbackObserver(Observer[Any]):
    """The user's callbacks, called with states as the user has them."""

    asks_tries = True

    def __init__(self, callbacks: Callbacks, f: RightHandSide) -> None:
        self._callbacks = callbacks
        self._f = f

    def trying(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's `step`."""
        if self._callbacks.step is not None:
            self._callbacks.step(t, self._f.restore(y), dt)

    def accepted(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's `accept`."""
        if self._callbacks.accept is not None:
            self._callbacks.accept(t, self._f.restore(y), dt)

    def rejected(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's `reject`."""
        if self._callbacks.reject is not None:
            self._callbacks.reject(t, self._f.restore(y), dt)


class DenseKept(Observer[Piece]):
    """Keeps the dense output of every accepted step."""

    asks_dense = True

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def dense(self, piece: Piece) -> None:
        """Keep the piece."""
        self.pieces.append(piece)
