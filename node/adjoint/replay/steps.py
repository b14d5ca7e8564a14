"""The steps of a solve, as a loop tells of them, and what is kept of their states."""

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
    """What is kept of a solve's states, and how it gives all of them back."""

    keeps_states: bool  # whether the states that it gives back were stored, not recomputed from the end

    def keep(self, i: int, start: State, end: State) -> None:
        """Keep what is needed of step i, with what it started from and gave."""

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """What the steps n - 1, ..., 0 started from, in this order."""


class Steps(Observer[Any], ABC, Generic[S]):
    """The steps that were taken, in a list; a memory is told of their states."""

    asks_taken = True

    def __init__(self, solver: Solver, memory: Memory) -> None:
        self.solver = solver
        self.memory = memory
        self.steps: list[S] = []
        self.end: Tensor | None = None  # of the last of them; None where that is not kept

    @abstractmethod
    def leave_out_not_finite(self, y: Tensor) -> None:
        """Let no gradient come from outputs y, (T, n) or (T, B, n), that are not finite."""

    def _add(self, step: S, start: State, end: State) -> None:
        self.memory.keep(len(self.steps), State(start.y) if step.self_contained else start, end)
        self.steps.append(step)
        self.end = end.y if self.memory.keeps_states else None
