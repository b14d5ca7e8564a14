"""What every way to differentiate a solve is: a value that solves a problem so that backward works."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from node.controller import Controller
from node.solution import Solution
from node.solvers.base import Solver
from node.vector_field import VectorField


@dataclass(frozen=True)
class InitialValueProblem:
    """dy/dt = f(t, y), y(times[0]) = y0, and how it is to be solved: checked, and the same for every mode."""

    f: VectorField
    y0: Tensor
    t: Tensor
    times: tuple[float, ...]  # of t
    solver: Solver
    controller: Controller
    max_steps: int
    parameters: tuple[Tensor, ...]  # what f depends on and gradients may be asked for


class Adjoint(ABC):
    """A way to differentiate a solve."""

    name: ClassVar[str]
    cost: ClassVar[str]  # time, memory and exactness, in a line
    needs_parameters: ClassVar[bool] = False  # whether the parameters must be told, or autograd finds them

    @abstractmethod
    def solve(self, problem: InitialValueProblem) -> Solution:
        """The solution, whose y can be differentiated in y0 and the parameters."""
