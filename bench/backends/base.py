"""The interface of a backend: a library that solves and differentiates, behind one function.

The library is imported only when a cell is prepared. What it supports is known without torch, because `plan` asks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.failure import UsageError
from bench.options import Option, chosen_of
from node.registry import Registry
from results.records import NO_OPTIONS, Cell

if TYPE_CHECKING:
    from bench.problems import Problem
    from bench.workload import Workload


class Backend(ABC):
    """A library under measurement. It says beforehand which cells it cannot measure: a reason, never an exception.

    name: as sweeps write it. summary: a line for people. library: the package that it measures, whose version and files
    decide what is measured again; the backend's name by default.
    """

    name: str
    summary: str
    library: str = ""

    @property
    @abstractmethod
    def solvers(self) -> Sequence[str]:
        """The names of the methods that the library has, in our vocabulary."""

    @property
    @abstractmethod
    def gradients(self) -> Sequence[str]:
        """The names of the gradient modes that the library has; "none" is a forward solve."""

    def options(self, cell: Cell) -> Sequence[Option]:
        """The options that a cell with this solver and gradient mode may have, beside those of its problem."""
        return ()

    def refuses_options(self, cell: Cell) -> str:
        """The reason why the library refuses the values of the cell's options; empty if it takes them."""
        return ""

    def unsupported(self, cell: Cell) -> str:
        """The reason why this library cannot measure a cell; empty if it can."""
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
        """A line that says in which of its forms the library solves a supported cell."""
        return f"{self.name} as it stands"

    def code(self, cell: Cell) -> str:
        """Lines of Python that solve as a cell does, for a field f, a start y0 and times t; empty if none are known."""
        return ""

    @abstractmethod
    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell: its forward solve and its gradient, ready to be called."""


def reason_against(cell: Cell) -> str:
    """The reason why the cell's backend cannot measure it; empty if it can. A UsageError if the backend cannot tell."""
    try:
        return BACKENDS[cell.backend].unsupported(cell)
    except Exception as error:  # of a user's backend: whatever it is, the user can mend it
        raise UsageError(
            f"the backend {cell.backend}: its `unsupported` raises {type(error).__name__}: {error}: "
            "let it return a reason, or an empty text"
        ) from error


def code_of(cell: Cell) -> str:
    """Lines of Python that solve as the cell does; empty if its backend is not there or knows none."""
    return BACKENDS[cell.backend].code(cell) if cell.backend in BACKENDS else ""


BACKENDS: Registry[Backend] = Registry(
    "backend",
    Backend,
    entry_points="nodebench.backends",
    package="bench.backends",
    describe=lambda backend: backend.summary,
)
