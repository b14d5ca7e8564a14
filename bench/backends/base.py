"""What every backend is: a library that solves and differentiates, behind one function.

It is loaded where it prepares a cell. What it can do, it tells without torch: a plan asks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from results.records import Cell

if TYPE_CHECKING:
    from bench.backends.workload import Workload
    from bench.problems import Problem


class Backend(ABC):
    """A library under measurement. What it cannot do it says beforehand: a reason, never an exception."""

    name: ClassVar[str]
    summary: ClassVar[str]  # a line for people

    @property
    @abstractmethod
    def solvers(self) -> tuple[str, ...]:
        """Names of the methods that it has, in our vocabulary."""

    @property
    @abstractmethod
    def gradients(self) -> tuple[str, ...]:
        """Names of the gradient modes that it has; "none" is a forward solve."""

    def unsupported(self, cell: Cell) -> str:
        """Why this cell cannot be measured with this library; empty if it can."""
        if cell.solver not in self.solvers:
            return f"{self.name} has no {cell.solver}"
        if cell.gradient not in self.gradients:
            return f"{self.name} has no gradient mode {cell.gradient}"
        return ""

    @abstractmethod
    def asked(self, cell: Cell) -> str:
        """In which of its forms the library solves a cell that it can, in a line."""

    @abstractmethod
    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The cell as something that can be called."""
