"""Substitution of samples for which f is not finite by another sample, so that NaN does not enter gradients."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from node.per_sample import carry as carries
from node.per_sample.carry import select
from node.per_sample.clock import Bools
from node.per_sample.columns import mask
from node.per_sample.step_control import Verdicts
from node.solvers.base import Solver
from node.solvers.carry import map_tensors
from node.vector_field import RightHandSide


class NanSubstitute(NamedTuple):
    """A substitute for samples that are not finite: the values of another sample, as constants.

    Without it their evaluations would make the gradients of all samples NaN, as 0 times NaN is NaN.
    """

    finite: Bools  # (B,)
    model: int  # the index of the sample that replaces those that are not finite

    @classmethod
    def where_needed(cls, finite: Bools, model: int | None = None) -> "NanSubstitute | None":
        """The substitute; None if all samples are finite, or none is. model: by default the first finite sample."""
        if finite.all() or not finite.any():
            return None
        return cls(finite, int(finite.argmax()) if model is None else model)

    def fill(self, x: Tensor) -> Tensor:
        """Times, states or carries x (B, ...), with the model's values in samples that are not finite."""
        filled: Tensor = select(mask(self.finite, x), x, x[self.model].detach())
        return filled


class Start(NamedTuple):
    """The start of a step of all samples."""

    t: Tensor  # (B, 1)
    y: Tensor  # (B, n)
    dt: Tensor  # (B, 1)
    carry: Any


class NanSubstitution:
    """The substitution during one solve: it keeps evaluations that are not finite out of the graph.

    It also stores which samples were replaced for good. record: whether steps leave a graph. estimate: whether rejected
    samples try again.
    """

    def __init__(self, f: RightHandSide, solver: Solver, *, record: bool, estimate: bool):
        self._f = f
        self._solver = solver
        self._record = record
        self._estimate = estimate
        self._replaced: tuple[Tensor, Tensor] | None = None  # the samples replaced for good, and the replacing times

    def time(self, t: Tensor) -> Tensor:
        """The samples' times; for samples replaced for good, the time of the replacing sample."""
        return t if self._replaced is None else torch.where(*self._replaced, t)

    def started(self, t: Tensor, y: Tensor, f0: Tensor | None = None) -> tuple[Any, Any]:
        """The carry at (t, y), and the same with another sample's carry where it is not finite.

        Where gradients are needed, neither has an evaluation in its graph that is not finite.
        """
        solver = self._solver
        carry = solver.start(self._f, t, y, f0)
        if not self._record:
            return carry, carry
        substitute = NanSubstitute.where_needed(carries.finite(y, carry))
        if substitute is None:
            return carry, carry
        carry, keep = solver.start(self._f, substitute.fill(t), substitute.fill(y)), mask(substitute.finite, y)
        return map_tensors(lambda x: select(keep, x, torch.full_like(x, math.nan)), carry), carry

    def substituted(self, start: Start, verdicts: Verdicts, alive: Bools) -> tuple[Start, Tensor | None]:
        """A start from which the step is finite, and the samples (B, 1) that are replaced for good.

        These are the samples that have ended and for which f is not finite at the start itself.
        """
        finite = resting_finite(self._solver, start.y, start.carry, verdicts)
        substitute = NanSubstitute.where_needed(finite, int(verdicts.accepted.argmax()))
        if substitute is None:
            return start, None
        fill = substitute.fill
        filled = Start(fill(start.t), fill(start.y), fill(start.dt), map_tensors(fill, start.carry))
        ended = mask(~finite & ~(alive & self._estimate), start.y)
        self._replaced = ended, filled.t
        return filled, ended


def resting_finite(solver: Solver, y: Tensor, carry: Any, verdicts: Verdicts) -> Bools:
    """Whether a step of size zero from (y, carry) would be finite in each sample, judged without taking it.

    In such a step a self-starting solver calls f at (t, y) only, as it did for the carry; other solvers call it
    elsewhere too.
    """
    if verdicts.finite.all() or not solver.self_starting:
        return verdicts.finite
    return carries.finite(y, carry)
