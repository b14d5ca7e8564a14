"""The jumps of f in time, and the interval in which f is called for each sample."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from node.per_sample.clock import Bools, Floats, SampleClock
from node.per_sample.columns import column
from node.vector_field import RightHandSide


class Limits:
    """The interval in which f is called, for each sample; times are on the clock unless said otherwise."""

    def __init__(self, f: RightHandSide, clock: SampleClock, jumps: Sequence[float], y0: Tensor) -> None:
        self.between: tuple[Floats, Floats] | None = None  # the interval in times of the solve
        self._f = f
        self._clock = clock
        self._jumps = clock.sign * np.array(jumps, dtype=np.float64)
        self._y0 = y0
        self._low = np.full(len(y0), -math.inf)  # the start of the interval up to the next stop

    def are_jumps(self, t: Floats) -> Bools | None:
        """Whether f jumps at t, (B,); None if f has no jumps."""
        return np.isin(t, self._jumps) if len(self._jumps) else None

    def restrict(self, here: Bools, start: Floats) -> None:
        """Restrict f for these samples to the interval from `start` to their stop, at the ends that are jumps of f."""
        at_start, at_stop = self.are_jumps(start), self.are_jumps(self._clock.stop)
        if at_start is None or at_stop is None:
            return
        self._low = np.where(here, np.where(at_start, start, -math.inf), self._low)
        self.put(self._low, np.where(at_stop, self._clock.stop, math.inf))

    def put(self, first: Floats, last: Floats) -> None:
        """Restrict later calls of f to these open intervals."""
        self.between = self._clock.signed(first), self._clock.signed(last)
        self._f.between_columns(*(column(t, self._y0) for t in self.between))
