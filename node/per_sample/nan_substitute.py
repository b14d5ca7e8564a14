"""What per-sample stepping does about samples from which f is not finite: another one stands in for them."""

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
from node.solvers.carry import each
from node.vector_field import RightHandSide


class NanSubstitute(NamedTuple):
    """In a gradient of all samples 0 times NaN is NaN: their evaluations are to be another sample's, as a constant."""

    finite: Bools  # (B,)
    model: int  # the sample that stands in for those that are not

    @classmethod
    def where_needed(cls, finite: Bools, model: int | None = None) -> "NanSubstitute | None":
        """The stand-in; None where all samples are finite, or none is. model: by default the first that is."""
        if finite.all() or not finite.any():
            return None
        return cls(finite, int(finite.argmax()) if model is None else model)

    def fill(self, x: Tensor) -> Tensor:
        """Times, states or what is carried, (B, ...), with the model's in the place of what is not finite."""
        filled: Tensor = select(mask(self.finite, x), x, x[self.model].detach())
        return filled


class Start(NamedTuple):
    """What a step of all samples starts from."""

    t: Tensor  # (B, 1)
    y: Tensor  # (B, n)
    dt: Tensor  # (B, 1)
    carry: Any


class NanSubstitution:
    """The one object that keeps evaluations that are not finite out of the graph of a solve, and knows who moved.

    record: whether steps leave a graph. estimate: whether rejected samples try again.
    """

    def __init__(self, f: RightHandSide, solver: Solver, *, record: bool, estimate: bool):
        self._f = f
        self._solver = solver
        self._record = record
        self._estimate = estimate
        self._away: tuple[Tensor, Tensor] | None = None  # the samples that stand where another did, and its time

    def time(self, t: Tensor) -> Tensor:
        """The samples' times; of those that stand where another did, the other's."""
        return t if self._away is None else torch.where(*self._away, t)

    def started(self, t: Tensor, y: Tensor, f0: Tensor | None = None) -> tuple[Any, Any]:
        """The carry at (t, y), and the same made finite, with another sample's in the place of one that is not.

        Where gradients are wanted, neither has an evaluation in its graph that is not finite.
        """
        solver = self._solver
        carry = solver.start(self._f, t, y, f0)
        if not self._record:
            return carry, carry
        substitute = NanSubstitute.where_needed(carries.finite(y, carry))
        if substitute is None:
            return carry, carry
        carry, keep = solver.start(self._f, substitute.fill(t), substitute.fill(y)), mask(substitute.finite, y)
        return each(lambda x: select(keep, x, torch.full_like(x, math.nan)), carry), carry

    def substituted(self, start: Start, verdicts: Verdicts, alive: Bools) -> tuple[Start, Tensor | None]:
        """The start from which a step is finite, and the samples (B, 1) that stand where another does from now on.

        Those are the ones from whose very start f is not finite, and which have ended.
        """
        finite = resting_finite(self._solver, start.y, start.carry, verdicts)
        substitute = NanSubstitute.where_needed(finite, int(verdicts.accepted.argmax()))
        if substitute is None:
            return start, None
        fill = substitute.fill
        filled = Start(fill(start.t), fill(start.y), fill(start.dt), each(fill, start.carry))
        ended = mask(~finite & ~(alive & self._estimate), start.y)
        self._away = ended, filled.t
        return filled, ended


def resting_finite(solver: Solver, y: Tensor, carry: Any, verdicts: Verdicts) -> Bools:
    """Whether a step of size zero from (y, carry) is finite in each sample, as far as can be told without taking it.

    A self-starting solver's calls f at (t, y) alone, where it was called for the carry; others call it elsewhere.
    """
    if verdicts.finite.all() or not solver.self_starting:
        return verdicts.finite
    return carries.finite(y, carry)
