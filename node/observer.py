"""Observers of the steps of a solve, such as for callbacks and dense output."""

from typing import Any, Generic, TypeVar

from torch import Tensor

from node.solvers.base import Step
from node.trajectory import Callbacks
from node.vector_field import RightHandSide

Piece = TypeVar("Piece")


class Observer(Generic[Piece]):
    """An object that the loop notifies of each step; with per-sample steps, of each try that some sample accepts.

    With per-sample steps times are tensors, as for `Callbacks`, and a piece of dense output is a SamplePiece.
    """

    asks_tries = False  # whether it is notified when a step is tried, accepted or rejected
    asks_dense = False  # whether it gets the dense output of each accepted step, which is then evaluated
    asks_taken = False  # whether it gets accepted steps in a form that can be recomputed

    def trying(self, t: Any, y: Tensor, dt: Any) -> None:
        """Called before a step of size dt from (t, y) is tried, if `asks_tries`."""

    def accepted(self, t: Any, y: Tensor, dt: Any) -> None:
        """Called after this step was accepted, if `asks_tries`."""

    def rejected(self, t: Any, y: Tensor, dt: Any) -> None:
        """Called after this step was rejected, if `asks_tries`."""

    def dense(self, piece: Piece) -> None:
        """Called with the dense output of an accepted step, if `asks_dense`."""

    def taken(self, taken: Any, y: Tensor, carry: Any, step: Step) -> None:
        """Called with an accepted TakenStep or TakenTry, and the y and carry at its start, if `asks_taken`."""


class CallbackObserver(Observer[Any]):
    """An observer that calls the user's callbacks with states in the user's form."""

    asks_tries = True

    def __init__(self, callbacks: Callbacks, f: RightHandSide) -> None:
        self._callbacks = callbacks
        self._f = f

    def trying(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's callback `step`."""
        if self._callbacks.step is not None:
            self._callbacks.step(t, self._f.restore(y), dt)

    def accepted(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's callback `accept`."""
        if self._callbacks.accept is not None:
            self._callbacks.accept(t, self._f.restore(y), dt)

    def rejected(self, t: Any, y: Tensor, dt: Any) -> None:
        """Call the user's callback `reject`."""
        if self._callbacks.reject is not None:
            self._callbacks.reject(t, self._f.restore(y), dt)


class DenseCollector(Observer[Piece]):
    """An observer that keeps the dense output of every accepted step."""

    asks_dense = True

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def dense(self, piece: Piece) -> None:
        """Keep the dense output of a step."""
        self.pieces.append(piece)
