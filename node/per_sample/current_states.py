"""The current states of many samples, and the solver's carry for them."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from node.per_sample import carry as carries
from node.per_sample.clock import Bools
from node.per_sample.columns import mask
from node.per_sample.nan_substitute import NanSubstitution, Start
from node.per_sample.step_control import Verdicts
from node.solvers.base import Solver, Step
from node.vector_field import RightHandSide


class Attempt(NamedTuple):
    """A tried step of all samples."""

    t: Tensor  # (B, 1), in the form that f takes
    y: Tensor  # (B, n), the states at the step's start
    dt: Tensor  # (B, 1)
    step: Step


class CurrentStates:
    """The samples' states and carries after the steps so far.

    record: whether steps leave a graph. estimate: whether steps need error estimates.
    """

    def __init__(self, f: RightHandSide, y0: Tensor, solver: Solver, *, record: bool, estimate: bool) -> None:
        self.y = y0
        self.carry: Any = None
        self.restarted: Bools | None = None  # the samples at a jump of f; their carry is from before the jump
        self.nan = NanSubstitution(f, solver, record=record, estimate=estimate)
        self._f = f
        self._solver = solver
        self._workspace = solver.workspace(y0, record=record)
        self._estimate = estimate

    def make_carry(self, t: Tensor, f0: Tensor | None = None) -> None:
        """Make the carry at t if there is none, and in samples at a jump of f. f0: f at the states, if it is known."""
        if self.carry is None:
            self.carry, _ = self.nan.started(t, self.y, f0)
        elif self.restarted is not None:
            self.carry = carries.select(mask(self.restarted, self.y), self.nan.started(t, self.y)[0], self.carry)
        self.restarted = None

    def tried(self, t: Tensor, dt: Tensor) -> Attempt:
        """A step of each sample from its current state."""
        return Attempt(t, self.y, dt, self.step(t, self.y, dt))

    def step(self, t: Tensor, y: Tensor, dt: Tensor) -> Step:
        """A step of each sample from y with the current carry."""
        return self._stepped(t, y, dt, self.carry)

    def recordable(self, attempt: Attempt, verdicts: Verdicts, alive: Bools) -> Attempt:
        """The attempt without evaluations in its graph that are not finite, as 0 times NaN is NaN in a gradient.

        Rejected samples take a step of size zero in it.
        """
        (t, y, dt, step), accepted = attempt, verdicts.accepted
        dt = dt.where(mask(accepted, y), 0.0)
        if verdicts.finite.all() or not accepted.any():
            return Attempt(t, y, dt, step)
        (t, y, dt, carry), moved = self.nan.substituted(Start(t, y, dt, self.carry), verdicts, alive)
        if moved is not None:
            self.y, self.carry = y.where(moved, self.y), carries.select(moved, carry, self.carry)
        return Attempt(t, y, dt, self._stepped(t, y, dt, carry))

    def accept(self, step: Step, accepted: Bools, *, whole: bool) -> None:
        """Move the samples whose step is accepted to its end. whole: replace the carry of the other samples too."""
        if accepted.all():
            self.y, self.carry = step.y1, step.carry
            return
        moved = mask(accepted, self.y)
        self.y = torch.where(moved, step.y1, self.y)
        self.carry = step.carry if whole or step.carry is None else carries.select(moved, step.carry, self.carry)

    def dense(self, t1: Tensor, attempt: Attempt) -> Tensor:
        """The dense output of an accepted step that ended at t1."""
        t, y, dt, step = attempt
        if step.carry is not None or not self._solver.dense_with_f1:
            return self._solver.dense(self._f, t, y, dt, step)
        self.carry, carry = self.nan.started(t1, self.y)
        c = self._solver.dense(self._f, t, y, dt, step._replace(carry=carry))
        return c if carry is self.carry else c.where(mask(carries.finite(self.carry), y), math.nan)

    def dense_ahead(self, t1: Tensor, attempt: Attempt) -> Tensor:
        """The dense output of a step up to t1 that is not accepted yet."""
        t, y, dt, step = attempt
        if step.carry is None and self._solver.dense_with_f1:
            step = step._replace(carry=self._solver.start(self._f, t1, step.y1))
        return self._solver.dense(self._f, t, y, dt, step)

    def _stepped(self, t: Tensor, y: Tensor, dt: Tensor, carry: Any) -> Step:
        return self._solver.step(self._f, t, y, dt, carry, self._workspace, estimate=self._estimate)
