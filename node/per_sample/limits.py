"""Where f jumps, and from which side each sample sees it."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from node.per_sample.clock import Bools, Floats, SampleClock
from node.per_sample.columns import column
from node.vector_field import RightHandSide


class Limits:
    """The times between which f is called, for each sample; times are the clock's where nothing else is said."""

    def __init__(self, f: RightHandSide, clock: SampleClock, jumps: Sequence[float], y0: Tensor) -> None:
        self.between: tuple[Floats, Floats] | None = None  # the solve's times, as f has them
        self._f = f
        self._clock = clock
        self._jumps = clock.sign * np.array(jumps, dtype=np.float64)
        self._y0 = y0
        self._low = np.full(len(y0), -math.inf)  # where f begins on the way to the next stop

    def are_jumps(self, t: Floats) -> Bools | None:
        """Whether f jumps at t, (B,); None where it never does."""
        return np.isin(t, self._jumps) if len(self._jumps) else None

    def confine(self, here: Bools, start: Floats) -> None:
        """For these samples f has its limits from inside from now on, where either end of their way is a jump."""
        at_start, at_stop = self.are_jumps(start), self.are_jumps(self._clock.stop)
        if at_start is None or at_stop is None:
            return
        self._low = np.where(here, np.where(at_start, start, -math.inf), self._low)
        self.put(self._low, np.where(at_stop, self._clock.stop, math.inf))

    def put(self, first: Floats, last: Floats) -> None:
        """From now on f is called within these open intervals."""
        self.between = self._clock.signed(first), self._clock.signed(last)
        self._f.between_columns(*(column(t, self._y0) for t in self.between))
