"""The interpolating adjoint: only dL/dy is solved backwards, along the forward pass's dense output."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from node.adjoint.backward.along_path import AdjointAlongPath, ParameterIntegral
from node.adjoint.backward.backward_solver import BackwardSolver, check_outputs, unsolvable
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.passes import Gradients, Passes, solve_in_passes
from node.adjoint.backward.path import Path
from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.controller import Controller
from node.dense import DensePiece
from node.observer import DenseKept
from node.solution import Stats
from node.solvers.base import Solver
from node.trajectory import Trajectory
from node.vector_field import RightHandSide


@dataclass(frozen=True)
class InterpolatingAdjoint(Adjoint):
    """Sapienza et al. (2024), "Differentiable Programming for Differential Equations: A Review", arXiv:2406.09699.

    Solves a' = -a df/dy backwards in time, with y(t) from the forward pass's dense output: nothing is reversed, so that
    a field that contracts does no harm. The parameters' gradient, the integral of a df/dp, is summed by Gauss-Legendre
    quadrature over each step of this solve (`GaussAdjoint` of SciMLSensitivity): it is no part of the state, and no
    error of it makes a step smaller. The gradient is that of the true solution, to the tolerance of both solves, and in
    fixed steps of order min(order, dense_order + 1).

    The equation is linear in a, and its atol is of a over the sum of the |dL/dy(t_i)|, so that a loss and its
    thousandfold are differentiated in the same steps.

    solver, controller, max_steps: of the backward solve, the last for all of it; None for the forward pass's.
    outputs: "spread" or "land", as the continuous adjoint's. Samples that have their own steps land on each.
    """

    solver: Solver | None = None
    controller: Controller | None = None
    max_steps: int | None = None
    outputs: str = "spread"

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
        """Solvers that cannot solve the adjoint equation, where the backward solve has none of its own."""
        return unsolvable(self.name, solver, self.solver)

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph, keeping dense output; the backward pass solves the adjoint equation."""
        if not problem.samples:
            return solve_in_passes(_Passes(self), problem, y0, stats)
        from node.adjoint.backward.sample_adjoint import (
            InterpolatingSamples,  # it needs NumPy, which nothing else here does
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
        kept = DenseKept[DensePiece]()
        trajectory = replace(problem, dense=False).integrate(f, y0, record=False, observers=[kept])
        self.steps = [(piece.t, piece.dt) for piece in kept.pieces]
        tensors = [tensor for piece in kept.pieces for tensor in (piece.y, piece.c)]
        return replace(trajectory, pieces=kept.pieces) if problem.dense else trajectory, tensors

    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        size = _size(outputs.dl_dy)
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


def _size(dl_dy: Tensor) -> float:
    """The sum of the rows' root mean squares; 1 where that is zero or not finite."""
    size = float(torch.linalg.vector_norm(dl_dy, dim=1).sum()) / math.sqrt(dl_dy.shape[1])
    return size if 0 < size < math.inf else 1.0


ADJOINTS.register(InterpolatingAdjoint())
