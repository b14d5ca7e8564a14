"""What the loop tells of each try that some sample accepts, so that it can be recomputed."""

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
    """A try, as it can be recomputed from its y and carry: on the CPU, (B,) where nothing else is said."""

    t: Floats
    t1: Floats  # t, of samples that stay where they are: rejected, failed, or at their end
    moved: Bools
    restarted: Bools  # the samples whose carry was the solver's start at (t, y), not handed on
    between: tuple[Floats, Floats] | None  # the limits of f, as RightHandSide.between_columns takes them
    substitute: NanSubstitute | None  # at (t, y)
    substitute_f1: NanSubstitute | None  # at (t1, y1), where dense output asks for f there
    landed: Landed | None  # outputs that are a step's end
    within: Within | None  # outputs within a step


class LogBook:
    """Tells observers of the tries that some sample accepts, with what one try alone does not know.

    Samples that are restarted in another try count as restarted in the next one of these.
    """

    def __init__(self, observers: Sequence[Observer[Any]], solver: Solver, clock: SampleClock, limits: Limits) -> None:
        self._observers = observers
        self._solver = solver
        self._clock = clock
        self._limits = limits
        self._handed_on: Any = None
        self._restarted = np.ones_like(clock.alive)

    def begin(self, restarted: Bools) -> None:
        """Note that these samples are restarted where they stand."""
        self._restarted = restarted

    def tell(
        self,
        start: tuple[Floats, Tensor, Any],
        end: tuple[Tensor, Any],
        verdicts: Verdicts,
        passed: Passed | None,
        f1: Any,
    ) -> None:
        """Tell of a try from (t, y, carry) to (y, carry), if some sample has accepted it.

        t: on the clock, which is now at the try's end. f1: the solver's start there, where dense output asked for it.
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
            observer.taken(taken, y, self._handed_on, Step(end[0], None, end[1]))
        self._handed_on, self._restarted = end[1], np.zeros_like(moved)
