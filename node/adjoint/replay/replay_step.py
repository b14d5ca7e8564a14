"""An accepted step that can be recomputed, the basis of exact gradients with less memory."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor

from node.solvers.reversible.base import ReversibleSolver
from node.vector_field import RightHandSide


class State(NamedTuple):
    """The state and the carry at the start or the end of a step."""

    y: Tensor  # (n,), or (B, n) where samples have their own steps
    carry: Any = None  # None: to be made by `Solver.start` at y


class StepResult(NamedTuple):
    """The results of a recomputed step."""

    end: State
    within: Tensor | None  # (m, n), the outputs within it
    c: Tensor | None = None  # (degree, n), its dense output, if the solve keeps that


class ReplayStep(ABC):
    """An accepted step, and the places of its outputs among all outputs of the solve, (T, n) or (T, B, n)."""

    __slots__ = ()

    @property
    @abstractmethod
    def self_contained(self) -> bool:
        """Whether the step needs nothing from the step before but y."""

    @abstractmethod
    def recompute(
        self, f: RightHandSide, state: State, workspace: Any, *, with_carry: bool, outputs: bool
    ) -> StepResult:
        """The step, recomputed; `with_carry` asks for the next step's carry, `outputs` for outputs and dense output."""

    @abstractmethod
    def undo(self, solver: ReversibleSolver, f: RightHandSide, end: State, workspace: Any) -> State:
        """The start of the step from its end, up to rounding. solver: the solver of the solve."""

    @abstractmethod
    def of_end(self, of_y: Tensor) -> Tensor | None:
        """The gradient to the state at the step's end, from those to all outputs; None if that is no output."""

    @abstractmethod
    def of_within(self, of_y: Tensor) -> Tensor | None:
        """The gradients to the outputs within the step (m, n), from those to all outputs."""
