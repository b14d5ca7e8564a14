"""How an adjoint equation is solved: a solver, its control and what it does at outputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

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
from node.tolerance import laid_out
from node.trajectory import Trajectory

OUTPUTS = ("spread", "land")


def check_outputs(mode: str, outputs: str) -> None:
    """Refuse a wrong name of what is done at outputs."""
    if outputs not in OUTPUTS:
        raise CallError(f"{mode}: outputs is {outputs!r} and must be one of {', '.join(OUTPUTS)}")


def unsolvable(mode: str, solver: Solver, own: Solver | None) -> str:
    """Why a forward solver, or the backward solve's own, does not solve adjoint equations; empty if it does."""
    backward = own or solver
    if not backward.separable:
        return ""
    return (
        f"{backward.name} solves separable fields, which the adjoint equation is not: give {mode}'s backward solve a "
        "solver of its own, solver=SOLVERS['dopri5'], or take gradient='reversible' or 'backprop'"
    )


class Choices(Protocol):
    """What a mode says of its backward solve; None is the forward pass's."""

    @property
    def solver(self) -> Solver | None:
        """The solver of the backward solve."""

    @property
    def controller(self) -> Controller | None:
        """The control of its step sizes."""

    @property
    def max_steps(self) -> int | None:
        """The limit of its steps."""

    @property
    def outputs(self) -> str:
        """What is done at outputs: "spread" or "land"."""


class BackwardMode(Choices, Protocol):
    """A continuous adjoint: a mode whose gradients come from a solve backwards in time."""

    @property
    def name(self) -> str:
        """Its name in ADJOINTS."""

    @property
    def twice(self) -> bool:
        """Whether its adjoint equation can be solved so that its gradients have gradients."""

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """The trajectory and its states at the outputs, as an Adjoint's."""


@dataclass(frozen=True)
class BackwardSolver:
    """How the adjoint equation is solved, from the last output to the first in one solve.

    outputs: "spread" or "land". Only where steps are adaptive can they be spread: where they are fixed nothing holds
    what it costs in accuracy to a tolerance, and the order would be less than the solver's. Nor where a solver carries
    more than f, such as slopes of the steps before: these would be of another equation.
    """

    solver: Solver
    controller: Controller
    max_steps: int
    outputs: str

    @classmethod
    def of(cls, problem: InitialValueProblem, mode: Choices) -> "BackwardSolver":
        """The forward pass's, but for what the mode has chosen."""
        controller = problem.controller
        if mode.controller is not None:
            controller = laid_out(mode.controller, problem.y0, samples=problem.samples)
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
        """The solve from z at the last output, with its jump, to the first, without its jump.

        norm, tolerance: of the equation's vector, from those of the state. observers: told of each step.
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
    """The controller with tolerances and norm of the equation's vector."""
    if not isinstance(controller, PIDController):
        return controller

    def of_all(value: Tolerance) -> Tolerance:
        return tolerance(value) if isinstance(value, Tensor) else value

    return replace(controller, rtol=of_all(controller.rtol), atol=of_all(controller.atol), norm=norm(controller.norm))
