"""What every backend is: a library that solves and differentiates, behind one function.

It is loaded where it prepares a cell. What it can do, it tells without torch: a plan asks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.options import Option, chosen_of
from node.registry import Registry
from results.records import NO_OPTIONS, Cell

if TYPE_CHECKING:
    from bench.problems import Problem
    from bench.workload import Workload


class Backend(ABC):
    """A library under measurement. What it cannot do it says beforehand: a reason, never an exception.

    name: in sweeps. summary: a line for people. library: the package that it measures, whose version and files decide
    what is measured again; its name by default.
    """

    name: str
    summary: str
    library: str = ""

    @property
    @abstractmethod
    def solvers(self) -> Sequence[str]:
        """Names of the methods that it has, in our vocabulary."""

    @property
    @abstractmethod
    def gradients(self) -> Sequence[str]:
        """Names of the gradient modes that it has; "none" is a forward solve."""

    def options(self, cell: Cell) -> Sequence[Option]:
        """The options, beside the problem's, that a cell of its solver and gradient mode may have."""
        return ()

    def unsupported(self, cell: Cell) -> str:
        """Why this cell cannot be measured with this library; empty if it can."""
        if cell.solver not in self.solvers:
            return f"{self.name} has no {cell.solver}"
        if cell.gradient not in self.gradients:
            return f"{self.name} has no gradient mode {cell.gradient}"
        if cell.options == NO_OPTIONS:
            return ""
        known = {option.name for option in self.options(cell)}
        odd = [name for name in chosen_of(cell) if not name.startswith("problem.") and name not in known]
        return f"{self.name} has no option {odd[0]}" if odd else ""

    def asked(self, cell: Cell) -> str:
        """In which of its forms the library solves a cell that it can, in a line."""
        return f"{self.name} as it stands"

    @abstractmethod
    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The cell as something that can be called."""


BACKENDS: Registry[Backend] = Registry(
    "backend",
    Backend,
    entry_points="nodebench.backends",
    package="bench.backends",
    describe=lambda backend: backend.summary,
)
