"""The gradient of the computed solution, step by step backwards through steps that are taken again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from node.adjoint.backprop import Backprop
from node.adjoint.base import InitialValueProblem
from node.adjoint.conditions import Conditions
from node.adjoint.replay import Cotangents, Replay, State
from node.dense import DensePiece
from node.integrate import TakenStep, Trajectory
from node.solution import SolveError, Stats, Status
from node.solvers.base import Step

Gradients = tuple[Tensor | None, ...]  # to y0 and each of the parameters


class Memory(Protocol):
    """What is kept of a solve's states, and how it gives all of them back."""

    def keep(self, i: int, start: State, end: State) -> None:
        """Told of step i as it is taken, with what it started from and gave."""

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """What the steps n - 1, ..., 0 started from, in this order."""


def solve_with_replay(
    problem: InitialValueProblem, y0: Tensor, stats: Stats, memory: Memory, name: str
) -> tuple[Trajectory, Tensor]:
    """The trajectory and its states; their gradients come from steps taken again from what `memory` gives back."""
    parameters = tuple(p for p in problem.parameters if p.requires_grad)
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in (y0, *parameters))):
        return Backprop().solve(problem, y0, stats)
    solve = _Solve(problem, stats, memory, name, Conditions(problem.f, problem.layout.device))
    y, *rest = _Replayed.apply(solve, y0, *parameters)
    trajectory = solve.trajectory
    states, polynomials = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    trajectory.pieces = [
        DensePiece(piece.t, piece.dt, *tensors)
        for piece, *tensors in zip(trajectory.pieces, states, polynomials, strict=True)
    ]
    return trajectory, y


@dataclass
class _Solve:
    """One solve, and what it has left for its backward passes."""

    problem: InitialValueProblem
    stats: Stats
    memory: Memory
    name: str
    conditions: Conditions
    trajectory: Trajectory = field(init=False)
    steps: list[TakenStep] = field(default_factory=list)

    def forwards(self, y0: Tensor) -> Tensor:
        """The states at the outputs."""
        f = self.problem.field()
        self.trajectory = self.problem.integrate(f, y0, record=False, log=self._log)
        self.stats.add_forward(f.calls, self.trajectory.n_accepted, self.trajectory.n_rejected)
        y = self.trajectory.at_outputs()
        if self.trajectory.status is Status.non_finite:
            self._leave_out_steps_after(int(y.isfinite().all(dim=1).long().cumprod(0).sum()))
        return y

    def _log(self, taken: TakenStep, y: Tensor, carry: Any, step: Step) -> None:
        alone = taken.anew or self.problem.solver.self_starting
        self.memory.keep(len(self.steps), State(y, None if alone else carry), State(step.y1, step.carry))
        self.steps.append(taken)

    def _leave_out_steps_after(self, n_outputs: int) -> None:
        """Keep the steps to the first so many outputs: no gradient comes from those that are not finite."""
        while sum(map(_n_outputs, self.steps)) >= n_outputs:
            self.steps.pop()

    def gradients(self, cotangents: "_OfOutputs", parameters: Sequence[Tensor]) -> Gradients:
        """The gradients, without a graph of their own."""
        replay = Replay(self.problem, self.steps, self.stats)
        sums = [torch.zeros_like(p) for p in parameters]
        due = 1 + sum(map(_n_outputs, self.steps))
        bar, n = Cotangents(None), len(self.steps)
        for i, state in zip(reversed(range(n)), self.memory.backwards(replay, n), strict=True):
            step = self.steps[i]
            due -= _n_outputs(step)
            past = due + len(step.within)
            end = Cotangents(
                _plus(bar.y, cotangents.output(past)) if step.lands else bar.y,
                bar.carry,
                cotangents.outputs(due, past),
                cotangents.polynomial(i),
            )
            bar, of_parameters = replay.pull_back(i, state, end, parameters)
            bar = bar._replace(y=_plus(bar.y, cotangents.state(i)))
            for total, gradient in zip(sums, of_parameters, strict=True):
                if gradient is not None:
                    total += gradient
        self.stats.nfe_backward += replay.field.calls
        of_y0 = _plus(bar.y, cotangents.output(0))
        self._check_finite((of_y0, *sums))
        return of_y0, *sums

    def differentiable(
        self, y0: Tensor, parameters: Sequence[Tensor], cotangents: Sequence[Tensor | None]
    ) -> Gradients:
        """The gradients with a graph of their own: backpropagation through all steps at once."""
        replay, state = Replay(self.problem, self.steps, self.stats), State(y0)
        outputs, states, polynomials = [y0.unsqueeze(0)], [], []
        for i, step in enumerate(self.steps):
            if step.anew or self.problem.solver.self_starting:
                state = State(state.y)
            again = replay.recorded(i, state)
            if self.problem.dense:
                states.append(state.y)
                polynomials.append(again.c)
            outputs += [] if again.within is None else [again.within]
            outputs += [again.end.y.unsqueeze(0)] if step.lands else []
            state = again.end
        self.stats.nfe_backward += replay.field.calls
        y = torch.cat(outputs)
        of_y = None if cotangents[0] is None else cotangents[0][: len(y)]
        pairs = [
            (x, bar) for x, bar in zip((y, *states, *polynomials), (of_y, *cotangents[1:]), strict=True)
            if bar is not None and x is not None and x.requires_grad
        ]  # fmt: skip
        inputs = [x for x in (y0, *parameters) if x.requires_grad]
        given, bars = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(given, inputs, bars, create_graph=True, allow_unused=True))
        return tuple(next(found) if x.requires_grad else None for x in (y0, *parameters))

    def _check_finite(self, gradients: Gradients) -> None:
        self.stats.status_backward = Status.success
        if not all(bool(g.isfinite().all()) for g in gradients if g is not None):
            self.stats.status_backward = Status.non_finite
            raise SolveError(f"{self.name}: the gradient is not finite: {Status.non_finite.value}", Status.non_finite)


class _OfOutputs:
    """The loss's gradients to what a solve gave: outputs (n_outputs, n), and states and polynomials of dense output."""

    def __init__(self, of_y: Tensor | None, of_pieces: Sequence[Tensor | None]):
        self._y = of_y
        self._states = of_pieces[: len(of_pieces) // 2]
        self._polynomials = of_pieces[len(of_pieces) // 2 :]

    def output(self, i: int) -> Tensor | None:
        return None if self._y is None else self._y[i]

    def outputs(self, first: int, last: int) -> Tensor | None:
        return None if self._y is None or first == last else self._y[first:last]

    def state(self, i: int) -> Tensor | None:
        return self._states[i] if self._states else None

    def polynomial(self, i: int) -> Tensor | None:
        return self._polynomials[i] if self._polynomials else None


def _n_outputs(step: TakenStep) -> int:
    return len(step.within) + step.lands


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, solve: _Solve, y0: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        y = solve.forwards(y0)
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
        if torch.is_grad_enabled():
            return None, *solve.conditions.call(lambda: solve.differentiable(y0, parameters, bars))
        return None, *solve.conditions.call(lambda: solve.gradients(_OfOutputs(bars[0], bars[1:]), parameters))
