"""The states of many samples as steps are taken from them, with what the solver carries from step to step."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from node.per_sample import carry as carries
from node.per_sample.clock import Bools
from node.per_sample.columns import mask
from node.per_sample.nan_substitute import StandIn
from node.per_sample.step_control import Verdicts, resting_finite
from node.solvers.base import Solver, Step
from node.solvers.carry import each
from node.vector_field import RightHandSide


class Attempt(NamedTuple):
    """A step that was tried, of all samples."""

    t: Tensor  # (B, 1), as f takes it
    y: Tensor  # (B, n), from which it was tried
    dt: Tensor  # (B, 1)
    step: Step


class Front:
    """The samples' states and carries, as the steps so far have left them.

    record: whether steps leave a graph. estimate: whether their errors are wanted.
    """

    def __init__(self, f: RightHandSide, y0: Tensor, solver: Solver, *, record: bool, estimate: bool) -> None:
        self.y = y0
        self.carry: Any = None
        self.restarted: Bools | None = None  # samples at a jump of f; their carry is of before the jump
        self._away: tuple[Tensor, Tensor] | None = None  # the samples that stand where another did, and its time
        self._f = f
        self._solver = solver
        self._workspace = solver.workspace(y0, record=record)
        self._record = record
        self._estimate = estimate

    def begin(self, t: Tensor, f0: Tensor | None = None) -> None:
        """Make a carry at t where there is none, and in samples where f has jumped. f0: f there, if it is known."""
        if self.carry is None:
            self.carry, _ = self._started(t, f0)
        elif self.restarted is not None:
            self.carry = carries.select(mask(self.restarted, self.y), self._started(t)[0], self.carry)
        self.restarted = None

    def tried(self, t: Tensor, dt: Tensor) -> Attempt:
        """A step of each sample from where it stands."""
        return Attempt(t, self.y, dt, self.step(t, self.y, dt))

    def step(self, t: Tensor, y: Tensor, dt: Tensor) -> Step:
        """A step of each sample from y, with the carry."""
        return self._stepped(t, y, dt, self.carry)

    def time(self, t: Tensor) -> Tensor:
        """The samples' times, but of those that stand where another did, the other's."""
        return t if self._away is None else torch.where(*self._away, t)

    def recordable(self, attempt: Attempt, verdicts: Verdicts, alive: Bools) -> Attempt:
        """The attempt without evaluations in its graph that are not finite: 0 times NaN is NaN.

        Rejected samples rest in it, with dt = 0. One from whose very start f is not finite stands where another does;
        if it has ended, from now on.
        """
        (t, y, dt, step), accepted, carry = attempt, verdicts.accepted, self.carry
        dt = dt.where(mask(accepted, y), 0.0)
        if verdicts.finite.all() or not accepted.any():
            return Attempt(t, y, dt, step)
        finite = resting_finite(self._solver, y, carry, verdicts)
        stand_in = StandIn.where_needed(finite, int(accepted.argmax()))
        if stand_in is not None:
            t, dt, y, carry = stand_in.fill(t), stand_in.fill(dt), stand_in.fill(y), each(stand_in.fill, carry)
            ended = mask(~finite & ~(alive & self._estimate), y)
            self._away, self.y = (ended, t), y.where(ended, self.y)
            self.carry = carries.select(ended, carry, self.carry)
        return Attempt(t, y, dt, self._stepped(t, y, dt, carry))

    def accept(self, step: Step, accepted: Bools, *, whole: bool) -> None:
        """Move the samples whose step is accepted to its end. whole: what the others carry is of no account."""
        if accepted.all():
            self.y, self.carry = step.y1, step.carry
            return
        moved = mask(accepted, self.y)
        self.y = torch.where(moved, step.y1, self.y)
        self.carry = step.carry if whole or step.carry is None else carries.select(moved, step.carry, self.carry)

    def dense(self, t1: Tensor, attempt: Attempt) -> Tensor:
        """Dense output of a step that has been accepted, and ended at t1."""
        t, y, dt, step = attempt
        if step.carry is not None or not self._solver.dense_with_f1:
            return self._solver.dense(self._f, t, y, dt, step)
        self.carry, carry = self._started(t1)
        c = self._solver.dense(self._f, t, y, dt, step._replace(carry=carry))
        return c if carry is self.carry else c.where(mask(carries.finite(self.carry), y), math.nan)

    def dense_ahead(self, t1: Tensor, attempt: Attempt) -> Tensor:
        """Dense output of a step up to t1 that has not been accepted yet."""
        t, y, dt, step = attempt
        if step.carry is None and self._solver.dense_with_f1:
            step = step._replace(carry=self._solver.start(self._f, t1, step.y1))
        return self._solver.dense(self._f, t, y, dt, step)

    def _started(self, t: Tensor, f0: Tensor | None = None) -> tuple[Any, Any]:
        """The carry at t, and the same made finite, with another sample's in the place of one that is not.

        Where gradients are wanted, neither has an evaluation in its graph that is not finite.
        """
        y, solver = self.y, self._solver
        carry = solver.start(self._f, t, y, f0)
        if not self._record:
            return carry, carry
        stand_in = StandIn.where_needed(carries.finite(y, carry))
        if stand_in is None:
            return carry, carry
        carry, keep = solver.start(self._f, stand_in.fill(t), stand_in.fill(y)), mask(stand_in.finite, y)
        return each(lambda x: carries.select(keep, x, torch.full_like(x, math.nan)), carry), carry

    def _stepped(self, t: Tensor, y: Tensor, dt: Tensor, carry: Any) -> Step:
        return self._solver.step(self._f, t, y, dt, carry, self._workspace, estimate=self._estimate)
