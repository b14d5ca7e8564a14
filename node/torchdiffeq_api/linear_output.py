"""Outputs between steps on a straight line, torchdiffeq's default for its fixed-step methods."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from typing_extensions import override

from node.solvers import Solver, Step
from node.vector_field import RightHandSide, Time


@dataclass(frozen=True)
class LinearOutput(Solver):
    """Another solver's steps, with y(t + theta dt) = y + theta (y1 - y)."""

    solver: Solver

    dense_order = 1
    kind = "linear output"

    @property
    def name(self) -> str:
        """The solver's name."""
        return self.solver.name

    @property
    def order(self) -> int:
        """The solver's order."""
        return self.solver.order

    @property
    def error_order(self) -> int | None:
        """The power of dt in the solver's error estimate."""
        return self.solver.error_order

    @property
    def source(self) -> str:
        """The solver's paper."""
        return self.solver.source

    @property
    def stages(self) -> int:
        """The solver's stages."""
        return self.solver.stages

    def workspace(self, y0: Tensor, *, record: bool) -> Any:
        """The solver's storage."""
        return self.solver.workspace(y0, record=record)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Any:
        """The solver's start."""
        return self.solver.start(f, t, y, f0)

    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any, *, estimate: bool
    ) -> Step:
        """The solver's step."""
        return self.solver.step(f, t, y, dt, carry, workspace, estimate=estimate)

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The straight line from y to y1; it needs no evaluation."""
        return (step.y1 - y).unsqueeze(0)
