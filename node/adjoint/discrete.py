"""The gradient of the computed solution, step by step backwards through steps that are taken again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from node.adjoint.backprop import Backprop
from node.adjoint.base import InitialValueProblem
from node.adjoint.conditions import Conditions
from node.adjoint.finite import is_finite
from node.adjoint.joint_steps import JointSteps
from node.adjoint.one_loss import check_one_loss
from node.adjoint.replay import Cotangents, Replay
from node.adjoint.replay_step import ReplayStep, State
from node.adjoint.steps import Memory, Steps
from node.dense import DensePiece
from node.solution import SolveError, Stats, Status
from node.trajectory import Trajectory

Gradients = tuple[Tensor | None, ...]  # to y0 and each of the parameters


def solve_with_replay(
    problem: InitialValueProblem, y0: Tensor, stats: Stats, memory: Memory, name: str
) -> tuple[Trajectory, Tensor]:
    """The trajectory and its states; their gradients come from steps taken again from what `memory` gives back."""
    parameters = tuple(p for p in problem.parameters if p.requires_grad)
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in (y0, *parameters))):
        return Backprop().solve(problem, y0, stats)
    solve = _Solve(problem, stats, name, _steps(problem, memory), Conditions(problem.f, problem.layout.device))
    y, *rest = _Replayed.apply(solve, y0, *parameters)
    trajectory = solve.trajectory
    states, polynomials = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    trajectory.pieces = [
        DensePiece(piece.t, piece.dt, *tensors)
        for piece, *tensors in zip(trajectory.pieces, states, polynomials, strict=True)
    ]
    return trajectory, y


def _steps(problem: InitialValueProblem, memory: Memory) -> Steps[Any]:
    if problem.samples:
        from node.adjoint.sample_steps import SampleSteps  # it needs NumPy, which nothing else here does

        return SampleSteps(problem.solver, memory)
    return JointSteps(problem.solver, memory, dense=problem.dense)


@dataclass
class _Solve:
    """One solve, and what it has left for its backward passes."""

    problem: InitialValueProblem
    stats: Stats
    name: str
    steps: Steps[Any]
    conditions: Conditions
    trajectory: Trajectory = field(init=False)

    def forwards(self, y0: Tensor) -> Tensor:
        """The states at the outputs."""
        f = self.problem.field()
        self.trajectory = self.problem.integrate(f, y0, record=False, log=self.steps.log)
        self.stats.add_forward(f.calls, self.trajectory.n_accepted, self.trajectory.n_rejected)
        y = self.trajectory.at_outputs()
        if self.trajectory.status.failed:
            self.steps.leave_out_not_finite(y)
        return y

    def gradients(self, cotangents: "_OfOutputs", parameters: Sequence[Tensor]) -> Gradients:
        """The gradients, without a graph of their own."""
        steps = self.steps.taken
        replay = Replay(self.problem, steps, self.stats)
        sums = [torch.zeros_like(p) for p in parameters]
        bar, n = Cotangents(None), len(steps)
        for i, state in zip(reversed(range(n)), self.steps.memory.backwards(replay, n), strict=True):
            bar, of_parameters = replay.pull_back(i, state, cotangents.join(bar, i, steps[i]), parameters)
            bar = bar._replace(y=_plus(bar.y, cotangents.state(i)))
            for total, gradient in zip(sums, of_parameters, strict=True):
                if gradient is not None:
                    total += gradient
        self.stats.nfe_backward += replay.field.calls
        of_y0 = _plus(bar.y, cotangents.start())
        self._check_finite((of_y0, *sums))
        return of_y0, *sums

    def differentiable(self, y0: Tensor, parameters: Sequence[Tensor], cotangents: "_OfOutputs") -> Gradients:
        """The gradients with a graph of their own: backpropagation through all steps at once."""
        steps = self.steps.taken
        replay, state = Replay(self.problem, steps, self.stats), State(y0)
        found: list[tuple[Tensor | None, Tensor | None]] = [(y0, cotangents.start())]
        for i, step in enumerate(steps):
            if step.starts_alone:
                state = State(state.y)
            again = replay.recorded(i, state)
            end = cotangents.join(Cotangents(None), i, step)
            found += [(state.y, cotangents.state(i)), (again.end.y, end.y)]
            found += [(again.within, end.within), (again.c, end.c)]
            state = again.end
        self.stats.nfe_backward += replay.field.calls
        pairs = [(x, bar) for x, bar in found if bar is not None and x is not None and x.requires_grad]
        inputs = [x for x in (y0, *parameters) if x.requires_grad]
        given, bars = zip(*pairs, strict=True)
        gradients = iter(torch.autograd.grad(given, inputs, bars, create_graph=True, allow_unused=True))
        return tuple(next(gradients) if x.requires_grad else None for x in (y0, *parameters))

    def _check_finite(self, gradients: Gradients) -> None:
        self.stats.status_backward = Status.success
        if not all(is_finite(g) for g in gradients if g is not None):
            self.stats.status_backward = Status.non_finite
            raise SolveError(f"{self.name}: the gradient is not finite: {Status.non_finite.value}", Status.non_finite)


class _OfOutputs:
    """The loss's gradients to what a solve gave: its outputs, and states and polynomials of dense output."""

    def __init__(self, of_y: Tensor | None, of_pieces: Sequence[Tensor | None]):
        self._y = of_y
        self._states = of_pieces[: len(of_pieces) // 2]
        self._polynomials = of_pieces[len(of_pieces) // 2 :]

    def start(self) -> Tensor | None:
        """That to y0, the first output."""
        return None if self._y is None else self._y[0]

    def join(self, end: Cotangents, i: int, step: ReplayStep) -> Cotangents:
        """Those to all that step i gives, from those to what it hands on."""
        polynomial = self._polynomials[i] if self._polynomials else None
        if self._y is None:
            return end._replace(within=None, c=polynomial)
        return Cotangents(_plus(end.y, step.of_end(self._y)), end.carry, step.of_within(self._y), polynomial)

    def state(self, i: int) -> Tensor | None:
        """That to the state which step i starts from."""
        return self._states[i] if self._states else None


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, solve: _Solve, y0: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        y = solve.forwards(y0.detach())
        ctx.solve = solve
        ctx.save_for_backward(y0, *parameters)
        ctx.set_materialize_grads(False)
        pieces = solve.trajectory.pieces
        starts = [y0.clone(), *(piece.y for piece in pieces[1:])] if pieces else []
        return y, *starts, *(piece.c for piece in pieces)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> tuple[Tensor | None, ...]:
        solve: _Solve = ctx.solve
        y0, *parameters = ctx.saved_tensors
        check_one_loss(solve.name, bars)
        cotangents = _OfOutputs(bars[0], bars[1:])
        if torch.is_grad_enabled():
            return None, *solve.conditions.call(lambda: solve.differentiable(y0, parameters, cotangents))
        return None, *solve.conditions.call(lambda: solve.gradients(cotangents, parameters))
