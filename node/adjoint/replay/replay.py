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
from node.solvers.carry import each, parts
from node.solvers.reversible.base import ReversibleSolver


class Cotangents(NamedTuple):
    """The gradient of the loss to what a step gives, or to what it starts from; None where that is zero."""

    y: Tensor | None
    carry: tuple[Tensor | None, ...] = ()
    within: Tensor | None = None
    c: Tensor | None = None


class Replay:
    """The steps of a solve, each to be recomputed from its start, with a graph or without."""

    def __init__(self, problem: InitialValueProblem, steps: Sequence[ReplayStep], stats: Stats) -> None:
        self.field = RecordedField(problem.field(), stats, backwards=True)
        self.stats = stats
        self._steps = steps
        self._solver = problem.solver
        self._furthest: Tensor | None = None  # from where a step led in the forward pass, of those that led elsewhere
        self._largest: Tensor | None = None  # entry of the states there

    def states(self, state: State, first: int, last: int) -> Iterator[State]:
        """What the steps first + 1, ..., last start from, given what step `first` does; without a graph."""
        hand_on = not self._solver.self_starting
        with torch.no_grad():
            workspace = self._solver.workspace(state.y, record=False)
            for i in range(first, last):
                state = self._steps[i].again(self.field, state, workspace, hand_on=hand_on, outputs=False).end
                yield State(state.y) if self._steps[i + 1].self_contained else state

    def recorded(self, i: int, state: State) -> StepResult:
        """Step i with its outputs, with a graph, in which the next step hangs on what this one hands on."""
        workspace = self._solver.workspace(state.y, record=True)
        hand_on = i + 1 < len(self._steps) and not self._steps[i + 1].self_contained
        return self._steps[i].again(self.field, state, workspace, hand_on=hand_on, outputs=True)

    def pull_back(
        self, i: int, state: State, end: Cotangents, parameters: Sequence[Tensor], led_to: Tensor | None
    ) -> tuple[Cotangents, Sequence[Tensor | None]]:
        """The cotangents of step i's start, and of the parameters, from those of its end and outputs.

        led_to: its end in the forward pass, where that is known.
        """
        if end.y is None and end.within is None and end.c is None:
            return Cotangents(None), [None] * len(parameters)
        y = state.y.detach().requires_grad_()
        carry = None if state.carry is None else each(_leaf, state.carry)
        with torch.enable_grad():
            again = self.recorded(i, State(y, carry))
        if led_to is not None:
            self.compare(again.end.y.detach(), led_to)
        pairs = [
            (x, bar)
            for x, bar in (
                (again.end.y, end.y),
                *zip(parts(again.end.carry) if end.carry else (), end.carry, strict=True),
                (again.within, end.within),
                (again.c, end.c),
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
        """Note how far a step has led from where it led in the forward pass."""
        if end.device.type == "cpu" and torch.equal(end, before):  # elsewhere this would wait for the device
            return
        distance, size = torch.dist(end, before, p=math.inf), torch.linalg.vector_norm(before, ord=math.inf)
        if self._furthest is None or self._largest is None:
            self._furthest, self._largest = distance, size
        else:
            self._furthest, self._largest = torch.fmax(self._furthest, distance), torch.fmax(self._largest, size)

    def is_astray(self) -> bool:
        """Whether a step has led elsewhere than in the forward pass by more than rounding."""
        if self._furthest is None or self._largest is None:
            return False
        rounding = torch.finfo(self._furthest.dtype).eps
        tolerance = rounding**0.5 if self._solver.needs_jacobian else 1000 * rounding
        return bool(self._furthest > tolerance * self._largest)

    def undone(self, solver: ReversibleSolver, i: int, end: State) -> State:
        """The state that the step before step i had handed on, by rounding. solver: that of the solve."""
        with torch.no_grad():
            workspace = solver.workspace(end.y, record=False)
            return self._steps[i].undone(solver, self.field, end, workspace)


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()
