"""What the loop tells of each try in which samples go on, so that it can be taken again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from node.observer import Observer
from node.per_sample import carry as carries
from node.per_sample.clock import Bools, Floats, Landed, Passed, SampleClock, Within
from node.per_sample.limits import Limits
from node.per_sample.nan_substitute import StandIn, resting_finite
from node.per_sample.step_control import Verdicts
from node.solvers.base import Solver, Step


class TakenTry(NamedTuple):
    """A try, as it can be taken again from its y and carry: on the CPU, (B,) where nothing else is said."""

    t: Floats
    t1: Floats  # t, of samples that stay where they are: rejected, failed, or at their end
    moved: Bools
    anew: Bools  # the samples whose carry was the solver's start at (t, y), not handed on
    between: tuple[Floats, Floats] | None  # the limits of f, as RightHandSide.between_columns takes them
    stand_in: StandIn | None  # at (t, y)
    stand_in_f1: StandIn | None  # at (t1, y1), where dense output asks for f there
    landed: Landed | None  # outputs that are a step's end
    within: Within | None  # outputs within a step


class LogBook:
    """Tells observers of the tries in which samples go on, with what one try alone does not know.

    Where samples begin anew in another try, they do so in the next one of these.
    """

    def __init__(self, observers: Sequence[Observer[Any]], solver: Solver, clock: SampleClock, limits: Limits):
        self._observers = observers
        self._solver = solver
        self._clock = clock
        self._limits = limits
        self._handed_on: Any = None
        self._anew = np.ones_like(clock.alive)

    def begin(self, anew: Bools) -> None:
        """These samples begin anew."""
        self._anew = anew

    def tell(
        self,
        start: tuple[Floats, Tensor, Any],
        end: tuple[Tensor, Any],
        verdicts: Verdicts,
        passed: Passed | None,
        f1: Any,
    ) -> None:
        """Of a try from (t, y, carry) to (y, carry), if a sample has gone on in it. t: on the clock, now at its end.

        f1: the solver's start at the end, where dense output asked for it.
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
            anew=self._anew,
            between=self._limits.between,
            stand_in=StandIn.where_needed(finite | moved, int(moved.argmax())),
            stand_in_f1=None if f1 is None else StandIn.where_needed(carries.finite(f1)),
            landed=None if passed is None else passed.landed(),
            within=None if passed is None else passed.within(t, clock.t),
        )
        for observer in self._observers:
            observer.taken(taken, y, self._handed_on, Step(end[0], None, end[1]))
        self._handed_on, self._anew = end[1], np.zeros_like(moved)
