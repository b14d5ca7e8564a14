"""The interpolating adjoint: only dL/dy is solved for backwards, along the dense output of the forward pass."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from node.adjoint.backward.along_path import AdjointAlongPath, ParameterIntegral
from node.adjoint.backward.backward_solver import BackwardSolver, OutputTreatment, check_outputs, unsolvable
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.passes import Gradients, Passes, solve_in_passes
from node.adjoint.backward.path import Path
from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.controller import Controller
from node.dense import DensePiece
from node.observer import DenseCollector
from node.solution import Stats
from node.solvers.base import Solver
from node.trajectory import Trajectory
from node.vector_field import RightHandSide


@dataclass(frozen=True)
class InterpolatingAdjoint(Adjoint):
    """Sapienza et al. (2024), "Differentiable Programming for Differential Equations: A Review", arXiv:2406.09699.

    Solves a' = -a df/dy backwards in time, with y(t) from the forward pass's dense output: y is not solved backwards,
    so that a contracting field does no harm. The parameters' gradient, the integral of a df/dp, is summed by
    Gauss-Legendre quadrature over each step of this solve (`GaussAdjoint` of SciMLSensitivity): it is no part of the
    state, so that its error does not make steps smaller. The gradient is that of the true solution, to the tolerance of
    both solves; in fixed steps its order is min(order, dense_order + 1).

    The equation is linear in a. It is solved for a divided by the sum of the |dL/dy(t_i)|, and atol refers to this
    quotient: so the steps do not depend on the scale of the loss.

    solver, controller: those of the backward solve, by default the forward pass's.
    max_steps: the largest number of steps of the whole backward solve, by default that of the forward pass.
    outputs: with "land" a step of the backward solve ends at every output time; with "spread" a step may pass several
    output times, which makes many outputs as cheap as few. Samples that have their own steps land on each output.
    """

    solver: Solver | None = None
    controller: Controller | None = None
    max_steps: int | None = None
    outputs: OutputTreatment = "spread"

    name = "interpolating"
    time = "M s calls and VJPs in y, M s/2 in the parameters"
    memory = "O(N): dense output"
    exactness = "to the tolerance"
    needs_parameters = True
    twice = True
    independent = True

    def __post_init__(self) -> None:
        check_outputs(self.name, self.outputs)

    def unsupported(self, solver: Solver) -> str:
        """The reason why the backward solve's solver, by default `solver`, cannot solve the adjoint equation."""
        return unsolvable(self.name, solver, self.solver)

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph and store dense output; the backward pass solves the adjoint equation."""
        if not problem.samples:
            return solve_in_passes(_Passes(self), problem, y0, stats)
        from node.adjoint.backward.sample_adjoint import (
            InterpolatingSamples,  # imported here because it needs NumPy
        )

        return solve_in_passes(InterpolatingSamples.of(self, problem), problem, y0, stats)


@dataclass
class _Passes(Passes):
    mode: InterpolatingAdjoint
    steps: list[tuple[float, float]] = field(default_factory=list)  # the pieces' t and dt
    name: str = InterpolatingAdjoint.name

    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        if not keep:
            return problem.integrate(f, y0, record=False), ()
        kept = DenseCollector[DensePiece]()
        trajectory = replace(problem, dense=False).integrate(f, y0, record=False, observers=[kept])
        self.steps = [(piece.t, piece.dt) for piece in kept.pieces]
        tensors = [tensor for piece in kept.pieces for tensor in (piece.y, piece.c)]
        return replace(trajectory, pieces=kept.pieces) if problem.dense else trajectory, tensors

    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        size = _total_rms(outputs.dl_dy)
        outputs = outputs._replace(dl_dy=outputs.dl_dy / size)
        states, polynomials = kept[::2], kept[1::2]
        pieces = [DensePiece(t, dt, y, c) for (t, dt), y, c in zip(self.steps, states, polynomials, strict=True)]
        equation = AdjointAlongPath(problem.f, problem.y0, parameters, Path(pieces))
        backward = BackwardSolver.of(problem, self.mode)
        order = backward.solver.order
        integral = ParameterIntegral(equation, nodes=(order + 1) // 2)
        end = backward.solve(
            equation,
            equation.join(outputs.dl_dy[-1]),
            outputs,
            norm=equation.norm,
            tolerance=equation.tolerance,
            observers=[integral] if parameters else [],
        )
        of_y0 = size * (equation.split(end.y) + outputs.dl_dy[0])
        of_parameters = [size * x for x in integral.sums]
        return Gradients(of_y0, of_parameters, end.status, end.t, equation.calls, equation.vjps)


def _total_rms(dl_dy: Tensor) -> float:
    """The sum of the root mean squares of the rows; 1 where the sum is zero or not finite."""
    size = float(torch.linalg.vector_norm(dl_dy, dim=1).sum()) / math.sqrt(dl_dy.shape[1])
    return size if 0 < size < math.inf else 1.0


ADJOINTS.register(InterpolatingAdjoint())
