"""The log of the tries that some sample accepts, from which they can be recomputed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from node.observer import Observer
from node.per_sample import carry as carries
from node.per_sample.clock import Bools, Floats, Landed, Passed, SampleClock, Within
from node.per_sample.limits import Limits
from node.per_sample.nan_substitute import NanSubstitute, resting_finite
from node.per_sample.step_control import Verdicts
from node.solvers.base import Solver, Step


class TakenTry(NamedTuple):
    """A try that can be recomputed from its y and carry: on the CPU, (B,) unless said otherwise."""

    t: Floats
    t1: Floats  # equal to t in samples that do not move: rejected, failed, or at their end
    moved: Bools  # the samples that accept the try
    restarted: Bools  # the samples whose carry was made by `Solver.start` at (t, y), not by the step before
    between: tuple[Floats, Floats] | None  # the limits of f, as RightHandSide.between_columns takes them
    substitute: NanSubstitute | None  # at (t, y)
    substitute_f1: NanSubstitute | None  # at (t1, y1), if dense output needs f there
    landed: Landed | None  # the outputs at the ends of steps
    within: Within | None  # the outputs within steps


class StepLog:
    """Reports to observers each try that some sample accepts, with the data that the loop alone does not have.

    A restart of samples in a try that no sample accepts is reported with the next accepted try.
    """

    def __init__(self, observers: Sequence[Observer[Any]], solver: Solver, clock: SampleClock, limits: Limits) -> None:
        self._observers = observers
        self._solver = solver
        self._clock = clock
        self._limits = limits
        self._carry: Any = None
        self._restarted = np.ones_like(clock.alive)

    def record_restart(self, restarted: Bools) -> None:
        """Record that the solver restarts in these samples at their current states."""
        self._restarted = restarted

    def report(
        self,
        start: tuple[Floats, Tensor, Any],
        end: tuple[Tensor, Any],
        verdicts: Verdicts,
        passed: Passed | None,
        f1: Any,
    ) -> None:
        """Report a try from (t, y, carry) to (y, carry), if some sample has accepted it.

        t: the start on the clock, which is now at the try's end. f1: the carry at the end, if dense output needed it.
        """
        clock, (t, y, carry) = self._clock, start
        moved = verdicts.accepted & clock.alive
        if not moved.any():
            return
        finite = resting_finite(self._solver, y, carry, verdicts)
        taken = TakenTry(
            t=clock.signed(t),
            t1=clock.signed(clock.t),
            moved=moved,
            restarted=self._restarted,
            between=self._limits.between,
            substitute=NanSubstitute.where_needed(finite | moved, int(moved.argmax())),
            substitute_f1=None if f1 is None else NanSubstitute.where_needed(carries.finite(f1)),
            landed=None if passed is None else passed.landed(),
            within=None if passed is None else passed.within(t, clock.t),
        )
        for observer in self._observers:
            observer.taken(taken, y, self._carry, Step(end[0], None, end[1]))
        self._carry, self._restarted = end[1], np.zeros_like(moved)
