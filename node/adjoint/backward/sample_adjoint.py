"""The continuous adjoints with per-sample steps: in the backward solve each sample has its own steps too."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.backward_outputs import BackwardOutputs
from node.adjoint.backward.backward_solver import BackwardMode, BackwardSolver, extended
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.norms import AdjointNorm, block_norm, seminorm
from node.adjoint.backward.passes import Gradients, Passes
from node.adjoint.backward.sample_fields import (
    AugmentedSamples,
    SampleAdjointField,
    SampleParameterIntegral,
    SamplesAlongPath,
)
from node.adjoint.base import InitialValueProblem
from node.errors import CallError
from node.jacobian import like, real
from node.observer import CallbackObserver, DenseCollector, Observer
from node.per_sample.clock import Landed
from node.per_sample.columns import mask
from node.per_sample.integrate import integrate_samples
from node.per_sample.path import SamplePath, SamplePiece, StepTable
from node.solution import Status
from node.solvers.multistep.adams import Adams
from node.trajectory import Callbacks, Trajectory
from node.vector_field import RightHandSide


class ContinuousMode(BackwardMode, Protocol):
    """A continuous adjoint that solves for y and dL/dy together, in one vector."""

    @property
    def checkpoints(self) -> int:
        """The number of states of the forward pass that are stored beside its outputs."""

    @property
    def norm(self) -> AdjointNorm:
        """The norm of the error of y, of the adjoint and of the parameters' gradients."""

    @property
    def callbacks(self) -> Callbacks | None:
        """The callbacks in the steps of the backward solve."""


def _check(mode: BackwardMode, problem: InitialValueProblem) -> None:
    """Raise a CallError for a backward solver that cannot restart only the samples that are at outputs."""
    solver = mode.solver or problem.solver
    if isinstance(solver, Adams):
        raise CallError(
            f"{mode.name}: {solver.name} carries past steps and cannot restart in single samples, as outputs need it: "
            "with batch='independent' give the mode another solver for its backward solve, solver=SOLVERS['dopri5']"
        )


@dataclass
class InterpolatingSamples(Passes):
    """The two passes of an interpolating adjoint: a' = -a df/dy backwards, along each sample's dense output."""

    mode: BackwardMode
    name: str
    steps: StepTable | None = None

    @classmethod
    def of(cls, mode: BackwardMode, problem: InitialValueProblem) -> "InterpolatingSamples":
        """The two passes; a CallError if the mode's settings do not work with per-sample steps."""
        _check(mode, problem)
        return cls(mode, mode.name)

    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        """The trajectory, and the polynomials of each sample's dense output."""
        if not keep:
            return problem.integrate(f, y0, record=False), ()
        kept = DenseCollector[SamplePiece]()
        trajectory = replace(problem, dense=False).integrate(f, y0, record=False, observers=[kept])
        if not kept.pieces:
            return trajectory, ()
        path = SamplePath.of(kept.pieces)
        self.steps = path.steps
        return replace(trajectory, pieces=kept.pieces) if problem.dense else trajectory, (path.y, path.c)

    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        """dL/dy0 and dL/dp; atol refers to the adjoint divided by the size of the sample's dL/dy."""
        reversed_outputs, size = _backward_outputs(problem, outputs).scaled()
        if self.steps is None or not reversed_outputs.moving.any():
            return _without_solve(reversed_outputs, size, parameters)
        equation = SamplesAlongPath(problem, parameters, reversed_outputs.moving, SamplePath(self.steps, *kept))
        return _solved(equation, BackwardSolver.of(problem, self.mode), reversed_outputs, size)


@dataclass
class AdjointSamples(Passes):
    """The two passes of a continuous adjoint: (y, a) backwards, of each sample in its own steps."""

    mode: BackwardMode
    name: str
    callbacks: Callbacks | None

    @classmethod
    def of(cls, mode: ContinuousMode, problem: InitialValueProblem) -> "AdjointSamples":
        """The two passes; a CallError if the mode's settings do not work with per-sample steps."""
        _check(mode, problem)
        if mode.checkpoints:
            raise CallError(
                "adjoint: checkpoints are states of a batch at one time: leave them out with batch='independent', "
                "or ask for more outputs, at which y is set too"
            )
        if mode.norm not in (block_norm, seminorm):
            raise CallError(
                "adjoint: norm is of vectors of a whole batch: leave it out with batch='independent', or give the "
                "backward solve's controller a norm"
            )
        return cls(mode, mode.name, mode.callbacks)

    @override
    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        """The trajectory alone: nothing else is kept."""
        return problem.integrate(f, y0, record=False), ()

    @override
    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        """The gradients to y0 and to the parameters."""
        reversed_outputs = _backward_outputs(problem, outputs)
        size = torch.ones_like(real(reversed_outputs.start)[:, :1])
        if not reversed_outputs.moving.any():
            return _without_solve(reversed_outputs, size, parameters)
        equation = AugmentedSamples(problem, parameters, reversed_outputs.moving)
        return _solved(equation, BackwardSolver.of(problem, self.mode), reversed_outputs, size, self.callbacks)


def _backward_outputs(problem: InitialValueProblem, outputs: Outputs) -> BackwardOutputs:
    if problem.sample_times is None:
        raise CallError("the batch has one step size, and no output times of each sample")
    return BackwardOutputs.of(problem.sample_times, outputs.y, outputs.dl_dy)


def _without_solve(reversed_outputs: BackwardOutputs, size: Tensor, parameters: Sequence[Tensor]) -> Gradients:
    """The gradients of a loss that depends on no output but the first."""
    t = float(reversed_outputs.times[0, 0])
    return Gradients(size * reversed_outputs.first, [torch.zeros_like(p) for p in parameters], Status.success, t, 0, 0)


def _solved(
    equation: SampleAdjointField,
    backward: BackwardSolver,
    reversed_outputs: BackwardOutputs,
    size: Tensor,
    callbacks: Callbacks | None = None,
) -> Gradients:
    """The gradients from a solve back to each sample's first output; dL/dp is an integral over its steps."""
    integral = SampleParameterIntegral(equation, nodes=(backward.solver.order + 1) // 2, size=size)
    jumps = real(reversed_outputs.jumps)
    observers: list[Observer[SamplePiece]] = [] if callbacks is None else [CallbackObserver(callbacks, equation)]
    if equation.parameters:
        observers.append(integral)

    def jump(landed: Landed, z: Tensor) -> Tensor:
        output, sample = (torch.from_numpy(i).to(z.device) for i in landed)
        there = equation.jumped(z[sample], jumps[output, sample], reversed_outputs.y[output, sample])
        return z.index_copy(0, sample, there)

    z = equation.joined(equation.filled(reversed_outputs.y[0]), reversed_outputs.start)
    end = integrate_samples(
        equation,
        z,
        reversed_outputs.times,
        solver=backward.solver,
        controller=extended(backward.controller, equation.norm, equation.tolerance),
        max_steps=backward.max_steps,
        record=False,
        observers=observers,
        jump=jump,
    )
    a = end.at_outputs()[-1].where(mask(reversed_outputs.moving, z), 0.0)[:, -jumps.shape[2] :]
    of_y0 = size * (like(a, reversed_outputs.first) + reversed_outputs.first)
    return Gradients(of_y0, integral.sums, end.status, end.t, equation.calls, equation.vjps)
