"""The backward solve of an adjoint equation: its solver, its step size control and its treatment of outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

from torch import Tensor

from node.adjoint.backward.adjoint_field import AdjointField
from node.adjoint.backward.impulses import Impulses, Outputs
from node.adjoint.backward.real import rows
from node.adjoint.base import InitialValueProblem
from node.controller import Controller, Norm, PIDController, Tolerance
from node.dense import DensePiece
from node.errors import CallError
from node.integrate import integrate
from node.observer import Observer
from node.solution import Stats
from node.solvers.base import Solver
from node.tolerance import with_flat_tolerances
from node.trajectory import Trajectory

OutputTreatment = Literal["spread", "land"]


def check_outputs(mode: str, outputs: str) -> None:
    """Raise a CallError for an unknown value of a mode's field `outputs`."""
    if outputs not in (known := get_args(OutputTreatment)):
        raise CallError(f"{mode}: outputs is {outputs!r} and must be one of {', '.join(known)}")


def unsolvable(mode: str, solver: Solver, own: Solver | None) -> str:
    """The reason why the backward solve's solver cannot solve an adjoint equation; empty if it can.

    own: the solver that the mode names for its backward solve; by default the forward `solver`.
    """
    backward = own or solver
    if not backward.separable:
        return ""
    return (
        f"{backward.name} solves separable fields, which the adjoint equation is not: give {mode}'s backward solve a "
        "solver of its own, solver=SOLVERS['dopri5'], or take gradient='reversible' or 'backprop'"
    )


class Choices(Protocol):
    """The settings of a mode's backward solve; None stands for the forward pass's."""

    @property
    def solver(self) -> Solver | None:
        """The solver of the backward solve."""

    @property
    def controller(self) -> Controller | None:
        """The step size control of the backward solve."""

    @property
    def max_steps(self) -> int | None:
        """The limit of steps of the backward solve."""

    @property
    def outputs(self) -> OutputTreatment:
        """The treatment of outputs."""


class BackwardMode(Choices, Protocol):
    """A continuous adjoint: a mode whose gradients come from a solve backwards in time."""

    @property
    def name(self) -> str:
        """The mode's name in ADJOINTS."""

    @property
    def twice(self) -> bool:
        """Whether the adjoint equation can be solved so that gradients have gradients too."""

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """The trajectory and its states at the outputs, as `Adjoint.solve` gives them."""


@dataclass(frozen=True)
class BackwardSolver:
    """The backward solve of the adjoint equation, from the last output to the first in one solve.

    outputs: "spread" or "land". Jumps are spread only where steps are adaptive: in fixed steps no tolerance would limit
    the error of spreading, and the order would be less than the solver's. Nor are they spread where a solver carries
    more than f, such as slopes of past steps: these would belong to another equation.
    """

    solver: Solver
    controller: Controller
    max_steps: int
    outputs: OutputTreatment

    @classmethod
    def of(cls, problem: InitialValueProblem, mode: Choices) -> "BackwardSolver":
        """The backward solver of a mode: the settings of the forward pass, except those that the mode names."""
        controller = problem.controller
        if mode.controller is not None:
            controller = with_flat_tolerances(mode.controller, problem.y0, samples=problem.samples)
        return cls(
            mode.solver or problem.solver,
            controller,
            problem.max_steps if mode.max_steps is None else mode.max_steps,
            mode.outputs,
        )

    def solve(
        self,
        field: AdjointField,
        z: Tensor,
        outputs: Outputs,
        *,
        norm: Callable[[Norm], Norm],
        tolerance: Callable[[Tensor], Tensor],
        observers: Sequence[Observer[DensePiece]] = (),
    ) -> Trajectory:
        """Solve backwards from z, at the last output after its jump, to the first output before its jump.

        norm, tolerance: turn the state's norm and tolerance into those of the equation's vector. observers: notified of
        each step.
        """
        spread = self.outputs == "spread" and self.controller.adaptive and self.solver.self_starting
        degree = (self.solver.order - 1) // 2 if spread else None
        return integrate(
            field,
            z,
            (outputs.times[-1], outputs.times[0]),
            solver=self.solver,
            controller=extended(self.controller, norm, tolerance),
            max_steps=self.max_steps,
            record=False,
            observers=observers,
            jumps=Impulses(outputs, rows(outputs.dl_dy, z.dtype), field, degree) if len(outputs.times) > 2 else None,
        )


def extended(controller: Controller, norm: Callable[[Norm], Norm], tolerance: Callable[[Tensor], Tensor]) -> Controller:
    """The controller with the tolerances and the norm of the equation's vector in place of the state's."""
    if not isinstance(controller, PIDController):
        return controller

    def of_all(value: Tolerance) -> Tolerance:
        return tolerance(value) if isinstance(value, Tensor) else value

    return replace(controller, rtol=of_all(controller.rtol), atol=of_all(controller.atol), norm=norm(controller.norm))
