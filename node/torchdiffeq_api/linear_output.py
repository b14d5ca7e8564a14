"""Linear interpolation between steps, torchdiffeq's default for its fixed-step methods."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from typing_extensions import override

from node.solvers import Solver, Step
from node.vector_field import RightHandSide, Time


@dataclass(frozen=True)
class LinearOutput(Solver):
    """The steps of another solver, with linear dense output y(t + theta dt) = y + theta (y1 - y)."""

    solver: Solver

    dense_order = 1
    kind = "linear output"

    @property
    def name(self) -> str:
        """The name of the wrapped solver."""
        return self.solver.name

    @property
    def order(self) -> int:
        """The order of the wrapped solver."""
        return self.solver.order

    @property
    def error_order(self) -> int | None:
        """The power of dt in the error estimate of the wrapped solver."""
        return self.solver.error_order

    @property
    def source(self) -> str:
        """The paper of the wrapped solver."""
        return self.solver.source

    @property
    def stages(self) -> int:
        """The number of stages of the wrapped solver."""
        return self.solver.stages

    def workspace(self, y0: Tensor, *, record: bool) -> Any:
        """The storage of the wrapped solver."""
        return self.solver.workspace(y0, record=record)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Any:
        """The carry at the start of the wrapped solver."""
        return self.solver.start(f, t, y, f0)

    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any, *, estimate: bool
    ) -> Step:
        """A step of the wrapped solver."""
        return self.solver.step(f, t, y, dt, carry, workspace, estimate=estimate)

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The straight line from y to y1, without an evaluation of f."""
        return (step.y1 - y).unsqueeze(0)
