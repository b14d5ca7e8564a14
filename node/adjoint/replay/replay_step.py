"""A step that was taken, as it can be recomputed: what exact gradients with less memory are made of."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor

from node.solvers.reversible.base import ReversibleSolver
from node.vector_field import RightHandSide


class State(NamedTuple):
    """What a step starts from."""

    y: Tensor  # (n,), or (B, n) where samples have steps of their own
    carry: Any = None  # None: the solver's start at y


class StepResult(NamedTuple):
    """What a step gives."""

    end: State
    within: Tensor | None  # (m, n), the outputs within it
    c: Tensor | None = None  # (degree, n), its dense output, where the solve keeps that


class ReplayStep(ABC):
    """A step, and the places among a solve's outputs, (T, n) or (T, B, n), of those that it gives."""

    __slots__ = ()

    @property
    @abstractmethod
    def self_contained(self) -> bool:
        """Whether it takes nothing from the step before but y."""

    @abstractmethod
    def again(self, f: RightHandSide, state: State, workspace: Any, *, hand_on: bool, outputs: bool) -> StepResult:
        """Take it; `hand_on` asks for the next one's carry, `outputs` for what is within it."""

    @abstractmethod
    def undone(self, solver: ReversibleSolver, f: RightHandSide, end: State, workspace: Any) -> State:
        """What the step before had handed on, given what this one hands on. solver: that of the solve."""

    @abstractmethod
    def of_end(self, of_y: Tensor) -> Tensor | None:
        """The gradient to the state at its end, of those to all outputs; None where that is no output."""

    @abstractmethod
    def of_within(self, of_y: Tensor) -> Tensor | None:
        """The gradients to the outputs within it (m, n), of those to all."""
