"""The steps of a solve, recomputed one by one."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from node.adjoint.base import InitialValueProblem
from node.adjoint.field.recorded import RecordedField
from node.adjoint.replay.replay_step import ReplayStep, State, StepResult
from node.solution import Stats
from node.solvers.carry import map_tensors, parts
from node.solvers.reversible.base import ReversibleSolver


class Cotangents(NamedTuple):
    """The gradients of the loss to the results of a step, or to its start; None where a gradient is zero."""

    y: Tensor | None
    carry: tuple[Tensor | None, ...] = ()
    within: Tensor | None = None
    c: Tensor | None = None


class Replay:
    """The steps of a solve, each of which can be recomputed from its start, with or without a graph."""

    def __init__(self, problem: InitialValueProblem, steps: Sequence[ReplayStep], stats: Stats) -> None:
        self.field = RecordedField(problem.field(), stats, backwards=True)
        self.stats = stats
        self._steps = steps
        self._solver = problem.solver
        self._difference: Tensor | None = None  # the largest difference of a recomputed end from the forward pass's
        self._magnitude: Tensor | None = None  # the largest entry of the states of the forward pass there

    def states(self, state: State, first: int, last: int) -> Iterator[State]:
        """The starts of the steps first + 1, ..., last, from the start of step `first`; without a graph."""
        with_carry = not self._solver.self_starting
        with torch.no_grad():
            workspace = self._solver.workspace(state.y, record=False)
            for i in range(first, last):
                state = self._steps[i].recompute(self.field, state, workspace, with_carry=with_carry, outputs=False).end
                yield State(state.y) if self._steps[i + 1].self_contained else state

    def recorded(self, i: int, state: State) -> StepResult:
        """Step i with its outputs, recomputed with a graph, and with its carry if the next step needs that."""
        workspace = self._solver.workspace(state.y, record=True)
        with_carry = i + 1 < len(self._steps) and not self._steps[i + 1].self_contained
        return self._steps[i].recompute(self.field, state, workspace, with_carry=with_carry, outputs=True)

    def pull_back(
        self, i: int, state: State, end: Cotangents, parameters: Sequence[Tensor], forward_end: Tensor | None
    ) -> tuple[Cotangents, Sequence[Tensor | None]]:
        """The cotangents of step i's start, and of the parameters, from those of its end and outputs.

        forward_end: the step's end in the forward pass, if that is stored.
        """
        if end.y is None and end.within is None and end.c is None:
            return Cotangents(None), [None] * len(parameters)
        y = state.y.detach().requires_grad_()
        carry = None if state.carry is None else map_tensors(_leaf, state.carry)
        with torch.enable_grad():
            recomputed = self.recorded(i, State(y, carry))
        if forward_end is not None:
            self.compare(recomputed.end.y.detach(), forward_end)
        pairs = [
            (x, bar)
            for x, bar in (
                (recomputed.end.y, end.y),
                *zip(parts(recomputed.end.carry) if end.carry else (), end.carry, strict=True),
                (recomputed.within, end.within),
                (recomputed.c, end.c),
            )
            if x is not None and bar is not None and x.requires_grad
        ]
        leaves = () if carry is None else parts(carry)
        if not pairs:
            return Cotangents(None), [None] * len(parameters)
        outputs, bars = zip(*pairs, strict=True)
        of_y, *others = torch.autograd.grad(outputs, (y, *leaves, *parameters), bars, allow_unused=True)
        return Cotangents(of_y, tuple(others[: len(leaves)])), others[len(leaves) :]

    def compare(self, end: Tensor, before: Tensor) -> None:
        """Record the difference between a recomputed end of a step and its end in the forward pass."""
        if end.device.type == "cpu" and torch.equal(end, before):  # elsewhere this would wait for the device
            return
        distance, size = torch.dist(end, before, p=math.inf), torch.linalg.vector_norm(before, ord=math.inf)
        if self._difference is None or self._magnitude is None:
            self._difference, self._magnitude = distance, size
        else:
            self._difference, self._magnitude = (
                torch.fmax(self._difference, distance),
                torch.fmax(self._magnitude, size),
            )

    def differs(self) -> bool:
        """Whether the end of a recomputed step differs from the forward pass by more than rounding."""
        if self._difference is None or self._magnitude is None:
            return False
        rounding = torch.finfo(self._difference.dtype).eps
        tolerance = rounding**0.5 if self._solver.needs_jacobian else 1000 * rounding
        return bool(self._difference > tolerance * self._magnitude)

    def undo(self, solver: ReversibleSolver, i: int, end: State) -> State:
        """The start of step i from its end, up to rounding. solver: the solver of the solve."""
        with torch.no_grad():
            workspace = solver.workspace(end.y, record=False)
            return self._steps[i].undo(solver, self.field, end, workspace)


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()
