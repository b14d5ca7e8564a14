"""The steps of a solve, as the loop reports them, and the memory of their states."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from node.adjoint.replay.replay import Replay
from node.adjoint.replay.replay_step import ReplayStep, State
from node.observer import Observer
from node.solvers.base import Solver

S = TypeVar("S", bound=ReplayStep)


class Memory(Protocol):
    """A memory of the states of a solve: it stores some of them and gives all of them back."""

    keeps_states: bool  # whether the states that it gives back come from stored ones, not from reversing the end

    def keep(self, i: int, start: State, end: State) -> None:
        """Store the needed part of step i, given its start and its end."""

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """The starts of the steps n - 1, ..., 0, in this order."""


class Steps(Observer[Any], ABC, Generic[S]):
    """The accepted steps of a solve in a list; their states go to the memory."""

    asks_taken = True

    def __init__(self, solver: Solver, memory: Memory) -> None:
        self.solver = solver
        self.memory = memory
        self.steps: list[S] = []
        self.end: Tensor | None = None  # the end of the last step; None if it is not stored

    @abstractmethod
    def leave_out_not_finite(self, y: Tensor) -> None:
        """Leave out outputs y, (T, n) or (T, B, n), that are not finite, so that no gradient comes from them."""

    def _add(self, step: S, start: State, end: State) -> None:
        self.memory.keep(len(self.steps), State(start.y) if step.self_contained else start, end)
        self.steps.append(step)
        self.end = end.y if self.memory.keeps_states else None
