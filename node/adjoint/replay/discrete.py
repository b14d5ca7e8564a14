"""The gradient of the computed solution, by recomputing its steps with a graph, from the last to the first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from node.adjoint.backward.finite import is_finite
from node.adjoint.backward.one_loss import check_one_loss
from node.adjoint.base import InitialValueProblem, solve_without_graph
from node.adjoint.replay.joint_steps import JointSteps
from node.adjoint.replay.replay import Cotangents, Replay
from node.adjoint.replay.replay_step import ReplayStep, State
from node.adjoint.replay.steps import Memory, Steps
from node.graph_function import GraphFunction
from node.recomputed import recomputed_gradients
from node.solution import SolveError, Stats, Status
from node.trajectory import Trajectory

Gradients = tuple[Tensor | None, ...]  # to y0 and each of the parameters


def solve_with_replay(
    problem: InitialValueProblem, y0: Tensor, stats: Stats, memory: Memory, name: str
) -> tuple[Trajectory, Tensor]:
    """The trajectory and its states; their gradients come from steps recomputed from the states in `memory`."""
    parameters = problem.parameters
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in (y0, *parameters))):
        return solve_without_graph(problem, y0, stats, name)
    forward: list[Trajectory] = []
    y, *rest = _Replayed.apply(forward, problem, memory, name, stats, y0, *parameters)
    (trajectory,) = forward
    states, polynomials = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    pieces = [
        piece._replace(y=start, c=c) for piece, start, c in zip(trajectory.pieces, states, polynomials, strict=True)
    ]
    return replace(trajectory, pieces=pieces), y


def _steps(problem: InitialValueProblem, memory: Memory) -> Steps[Any]:
    if problem.samples:
        from node.adjoint.replay.sample_steps import SampleSteps  # imported here because it needs NumPy

        return SampleSteps(problem.solver, memory, dense=problem.dense)
    return JointSteps(problem.solver, memory, dense=problem.dense)


class _Solve:
    """The data of one forward pass that its backward passes use."""

    def __init__(self, problem: InitialValueProblem, memory: Memory, name: str, stats: Stats) -> None:
        self.name = name
        self.stats = stats
        self.steps = _steps(problem, memory)
        self.problem, self.conditions = problem.for_backward(name)

    def forwards(self, problem: InitialValueProblem, y0: Tensor) -> tuple[Trajectory, Tensor]:
        """The trajectory of the given problem, with the user's f, and its states at the outputs."""
        f = problem.first_field()
        trajectory = problem.integrate(f, y0, record=False, observers=[self.steps])
        self.conditions.end_forward()
        self.stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        y = trajectory.at_outputs()
        if trajectory.status.failed:
            self.steps.leave_out_not_finite(y)
        return trajectory, y

    def gradients(self, cotangents: "_OutputCotangents") -> Gradients:
        """The gradients, without a graph of their own."""
        steps = self.steps.steps
        replay = Replay(self.problem, steps, self.stats)
        parameters = self.conditions.parameters
        sums = [torch.zeros_like(p) for p in parameters]
        bar, n, end = Cotangents(None), len(steps), self.steps.end
        self.stats.nfe_backward += self.conditions.check(replayed=self.steps.memory.keeps_states)
        for i, state in zip(reversed(range(n)), self.steps.memory.backwards(replay, n), strict=True):
            bar, of_parameters = replay.pull_back(i, state, cotangents.join(bar, i, steps[i]), parameters, end)
            end = state.y if self.steps.memory.keeps_states else None
            bar = bar._replace(y=_plus(bar.y, cotangents.state(i)))
            for total, gradient in zip(sums, of_parameters, strict=True):
                if gradient is not None:
                    total += gradient
        self.stats.nfe_backward += replay.field.calls
        self._check_ends(replay)
        of_y0 = _plus(bar.y, cotangents.start())
        self._check_finite((of_y0, *sums))
        return of_y0, *sums

    def differentiable(self, y0: Tensor, cotangents: "_OutputCotangents") -> Gradients:
        """The gradients with a graph of their own: backpropagation through all steps at once."""
        steps = self.steps.steps
        self.stats.nfe_backward += self.conditions.check()
        replay, state = Replay(self.problem, steps, self.stats), State(y0)
        found: list[tuple[Tensor | None, Tensor | None]] = [(y0, cotangents.start())]
        for i, step in enumerate(steps):
            if step.self_contained:
                state = State(state.y)
            recomputed = replay.recorded(i, state)
            end = cotangents.join(Cotangents(None), i, step)
            found += [(state.y, cotangents.state(i)), (recomputed.end.y, end.y)]
            found += [(recomputed.within, end.within), (recomputed.c, end.c)]
            state = recomputed.end
        self.stats.nfe_backward += replay.field.calls
        parameters = self.conditions.parameters
        pairs = [(x, bar) for x, bar in found if bar is not None and x is not None and x.requires_grad]
        inputs = [x for x in (y0, *parameters) if x.requires_grad]
        if not pairs:
            return (None,) * (1 + len(parameters))
        given, bars = zip(*pairs, strict=True)
        gradients = iter(torch.autograd.grad(given, inputs, bars, create_graph=True, allow_unused=True))
        return tuple(next(gradients) if x.requires_grad else None for x in (y0, *parameters))

    def _check_ends(self, replay: Replay) -> None:
        """Raise a GradientError if a recomputed step ends in another state than in the forward pass."""
        if replay.differs():
            raise self.conditions.changed("a step that is recomputed ends elsewhere")

    def _check_finite(self, gradients: Gradients) -> None:
        self.stats.status_backward = Status.success
        if not all(is_finite(g) for g in gradients if g is not None):
            self.stats.status_backward = Status.non_finite
            raise SolveError(f"{self.name}: the gradient is not finite: {Status.non_finite.value}", Status.non_finite)


class _OutputCotangents:
    """The loss's gradients to the results of a solve: its outputs, and the states and polynomials of dense output."""

    def __init__(self, of_y: Tensor | None, of_pieces: Sequence[Tensor | None]) -> None:
        self._y = of_y
        self._states = of_pieces[: len(of_pieces) // 2]
        self._polynomials = of_pieces[len(of_pieces) // 2 :]

    def start(self) -> Tensor | None:
        """The gradient to y0, the first output."""
        return None if self._y is None else self._y[0]

    def join(self, end: Cotangents, i: int, step: ReplayStep) -> Cotangents:
        """The gradients to all results of step i, from the gradients to its end state and carry."""
        polynomial = self._polynomials[i] if self._polynomials else None
        if self._y is None:
            return end._replace(within=None, c=polynomial)
        return Cotangents(_plus(end.y, step.of_end(self._y)), end.carry, step.of_within(self._y), polynomial)

    def state(self, i: int) -> Tensor | None:
        """The gradient to the state at the start of step i."""
        return self._states[i] if self._states else None


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


class _Replayed(GraphFunction):
    @staticmethod
    def forward(
        ctx: Any,
        forward: list[Trajectory],
        problem: InitialValueProblem,
        memory: Memory,
        name: str,
        stats: Stats,
        y0: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.solve = _Solve(problem, memory, name, stats)
        trajectory, y = ctx.solve.forwards(problem, y0.detach())
        forward.append(trajectory)
        ctx.save_for_backward(y0, *parameters)
        ctx.set_materialize_grads(False)
        pieces = trajectory.pieces
        # New tensors: the returned ones become part of a graph, and the stored ones must not.
        starts = [y0.clone(), *(piece.y.detach() for piece in pieces[1:])] if pieces else []
        return y, *starts, *(piece.c.detach() for piece in pieces)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> tuple[Tensor | None, ...]:
        solve: _Solve = ctx.solve
        y0, *parameters = ctx.saved_tensors
        check_one_loss(solve.name, bars)
        if torch.is_grad_enabled():
            gradients: Sequence[Tensor | None] = _differentiable(solve, y0, parameters, bars)
        else:
            gradients = solve.conditions.call(lambda: solve.gradients(_OutputCotangents(bars[0], bars[1:])))
        return None, None, None, None, None, *gradients


def _differentiable(
    solve: _Solve, y0: Tensor, parameters: Sequence[Tensor], bars: Sequence[Tensor | None]
) -> Sequence[Tensor]:
    """The gradients in a graph to y0, the parameters and the gradients to the outputs, each as a separate input."""
    places = [i for i, bar in enumerate(bars) if bar is not None]

    def gradients(_: int, *tensors: Tensor) -> Gradients:
        given = dict(zip(places, tensors, strict=False))
        cotangents = _OutputCotangents(given.get(0), [given.get(i) for i in range(1, len(bars))])
        return solve.conditions.call(lambda: solve.differentiable(tensors[-1], cotangents))

    given = [*(bar for bar in bars if bar is not None), y0]
    return recomputed_gradients(gradients, given, parameters, solve.conditions.parameters)
