"""Accepted steps, taken again: what exact gradients with less memory are made of."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from node.adjoint.base import InitialValueProblem
from node.adjoint.recorded_field import RecordedField
from node.dense import DensePiece
from node.integrate import TakenStep
from node.solution import Stats
from node.solvers.carry import each, parts
from node.solvers.reversible import ReversibleSolver


class State(NamedTuple):
    """What a step starts from."""

    y: Tensor  # (n,)
    carry: Any = None  # None: the solver's start at y


class Again(NamedTuple):
    """What a step gives."""

    end: State
    within: Tensor | None  # (m, n), the outputs within it
    c: Tensor | None  # (degree, n), its dense output, where the solve keeps that


class Cotangents(NamedTuple):
    """The gradient of the loss to what a step gives, or to what it starts from; None where that is zero."""

    y: Tensor | None
    carry: tuple[Tensor | None, ...] = ()
    within: Tensor | None = None
    c: Tensor | None = None


class Replay:
    """The steps of a solve, each to be taken again from its start, with a graph or without."""

    def __init__(self, problem: InitialValueProblem, steps: Sequence[TakenStep], stats: Stats):
        self.field = RecordedField(problem, stats)
        self.stats = stats
        self._problem = problem
        self._steps = steps
        self._solver = problem.solver

    def states(self, state: State, first: int, last: int) -> Iterator[State]:
        """What the steps first + 1, ..., last start from, given what step `first` does; without a graph."""
        with torch.no_grad():
            workspace = self._solver.workspace(state.y, record=False)
            for i in range(first, last):
                state = self._take(i, state, workspace, hand_on=not self._solver.self_starting, outputs=False).end
                yield State(state.y) if self._steps[i + 1].anew or self._solver.self_starting else state

    def recorded(self, i: int, state: State) -> Again:
        """Step i with its outputs, with a graph, in which the next step hangs on what this one hands on."""
        workspace = self._solver.workspace(state.y, record=True)
        last = i + 1 == len(self._steps)
        return self._take(i, state, workspace, hand_on=not last and not self._starts_alone(i + 1), outputs=True)

    def pull_back(
        self, i: int, state: State, end: Cotangents, parameters: Sequence[Tensor]
    ) -> tuple[Cotangents, Sequence[Tensor | None]]:
        """The cotangents of step i's start, and of the parameters, from those of its end and outputs."""
        if end.y is None and end.within is None and end.c is None:
            return Cotangents(None), [None] * len(parameters)
        y = state.y.detach().requires_grad_()
        carry = None if state.carry is None else each(_leaf, state.carry)
        with torch.enable_grad():
            again = self.recorded(i, State(y, carry))
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

    def undone(self, i: int, end: State) -> State:
        """The state that step i of a reversible solver started from, by rounding."""
        step, solver = self._steps[i], cast(ReversibleSolver, self._solver)
        self.field.limits = step.limits
        with torch.no_grad():
            workspace = solver.workspace(end.y, record=False)
            return State(*solver.reverse(self.field, step.t, end.y, step.t1 - step.t, end.carry, workspace))

    def _starts_alone(self, i: int) -> bool:
        return self._steps[i].anew or self._solver.self_starting

    def _take(self, i: int, state: State, workspace: Any, *, hand_on: bool, outputs: bool) -> Again:
        step, solver, f = self._steps[i], self._solver, self.field
        if f.limits != step.limits:
            f.limits = step.limits
        t, dt, y = step.t, step.t1 - step.t, state.y
        carry = solver.start(f, t, y) if state.carry is None else state.carry
        keep = self._problem.dense
        dense = outputs and (keep or bool(step.within))
        if not (dense or hand_on):
            return Again(State(solver.advance(f, t, y, dt, carry, workspace)), None, None)
        taken = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        if not dense:
            return Again(State(taken.y1, taken.carry), None, None)
        if taken.carry is None and solver.dense_with_f1:
            taken = taken._replace(carry=solver.start(f, step.t1, taken.y1))
        c = solver.dense(f, t, y, dt, taken, workspace)
        within = DensePiece(t, dt, y, c).at(step.within) if step.within else None
        return Again(State(taken.y1, taken.carry), within, c if keep else None)


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()
