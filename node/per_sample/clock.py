"""Where each of many samples stands in time."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from node.controller import SAME_TIME

# NumPy, as an operation on so few numbers costs a third of torch's.
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Landed(NamedTuple):
    """Outputs that are the end of their sample's step: (m,) each."""

    output: Ints
    sample: Ints

    def chosen(self, places: Bools) -> "Landed | None":
        """The outputs at these places (T, B)."""
        chosen = places[self.output, self.sample]
        return Landed(self.output[chosen], self.sample[chosen]) if chosen.any() else None


class Within(NamedTuple):
    """Outputs within their sample's step: (m,) each."""

    output: Ints
    sample: Ints
    theta: Floats  # where, from 0 at the step's start to 1 at its end

    def chosen(self, places: Bools) -> "Within | None":
        """The outputs at these places (T, B)."""
        chosen = places[self.output, self.sample]
        return Within(self.output[chosen], self.sample[chosen], self.theta[chosen]) if chosen.any() else None


class Passed(NamedTuple):
    """The outputs that a step has passed or met: (m,) each."""

    output: Ints  # the output's index
    sample: Ints  # that of the sample that has passed it
    t: Floats  # its time, on the clock
    met: Bools  # whether the sample's step ends there

    def landed(self) -> Landed | None:
        """The outputs that were met."""
        met = self.met
        return Landed(self.output[met], self.sample[met]) if met.any() else None

    def within(self, t0: Floats, t1: Floats) -> Within | None:
        """The outputs that were passed, not met, by steps from t0 to t1, (B,) each."""
        if self.met.all():
            return None
        left = ~self.met
        sample = self.sample[left]
        return Within(self.output[left], sample, (self.t[left] - t0[sample]) / (t1 - t0)[sample])


class SampleClock:
    """The samples' times, next outputs and stops, (B,) each, on the CPU, where the loop decides.

    It runs forwards: where the solve goes backwards in time it shows -t. A sample that has ended stays where it is:
    its step size is zero and nothing lies ahead of it.
    """

    stop: Floats  # the next time that a step must end at
    _next_output: Floats  # the next output
    _ahead: Floats  # the nearer of the two

    def __init__(self, times: Tensor, stops: Sequence[float], *, land: bool = False) -> None:
        """times: (B, T), rows monotonic in one direction. stops: other times that steps end at. land: outputs are too.

        A sample whose first time is its last has ended.
        """
        samples, n = times.shape
        shared = times.stride(0) == 0  # one row, expanded
        self.sign = 1.0 if times[0, -1] >= times[0, 0] else -1.0
        rows = np.full((1 if shared else samples, n + 1), math.inf)
        rows[:, :n] = self.sign * (times[:1] if shared else times).numpy()
        self._rows = torch.from_numpy(rows)
        self._times = rows.ravel()
        self._first = np.zeros(samples, dtype=np.int64) if shared else np.arange(samples) * (n + 1)
        self._samples = np.arange(samples)
        self._next = self._first + 1  # where in _times each sample's next output stands
        self._stops = np.array(sorted({self.sign * t for t in stops} | {math.inf}))
        self.start = self._times[self._first]
        self.end = self._times[self._first + n - 1]
        self._stop_index = np.searchsorted(self._stops, self.start, side="right")
        self.t = self._t1 = self.start
        self.dt = np.zeros(samples)  # what is to be tried next
        self.alive = self.start != self.end
        self._land = land
        self._near = False  # whether a step may end at an output or stop, or beyond
        self._stopping = np.zeros_like(self.alive)  # the samples whose step does end at their stop
        self._look_ahead()

    def meet(self, t1: Floats) -> Floats:
        """t1; or the output that it meets but for rounding; or the stop where it meets or passes that."""
        slack = (t1 - self.t) * SAME_TIME
        self._near = bool((t1 + slack >= self._ahead).any())
        if not self._near:
            return t1
        self._stopping = self.stop - t1 <= slack
        met = np.abs(self._next_output - t1) <= slack
        self._t1 = np.where(met, self._next_output, np.where(self._stopping, self.stop, t1))
        return self._t1

    def passed(self) -> Passed | None:
        """The outputs up to t since the last call; the next output of each sample is then one after t."""
        if not (self._near and (self._next_output <= self.t).any()):
            return None
        after = self._first_beyond(self.t)
        counts = after - self._next
        sample = np.repeat(self._samples, counts)
        # The list goes up by one in each sample's outputs, from its own first.
        place = np.arange(len(sample)) + (self._next + counts - counts.cumsum())[sample]
        times = self._times[place]
        self._next = after
        self._next_output = self._times[after]
        self._ahead = np.minimum(self._next_output, self.stop)
        return Passed(place - self._first[sample], sample, times, times == self.t[sample])

    def at_stop(self) -> Bools | None:
        """The samples that have come to their stop; None where there are none. Those at their end have ended."""
        if not self._near:
            return None
        here: Bools = self._stopping & (self.t == self._t1)
        if not here.any():
            return None
        at_end = self.stop == self.end
        passed = self._stops[self._stop_index] == self.stop if self._land else ~at_end
        self._stop_index = self._stop_index + (here & passed)
        self.finish(here & at_end)
        return here

    def signed(self, x: Floats) -> Floats:
        """Times or step sizes on the clock as those of the solve, and the other way round."""
        return x if self.sign > 0 else -x

    def finish(self, ended: Bools) -> None:
        """Let these samples stay where they are."""
        self.alive = self.alive & ~ended
        self.dt = np.where(ended, 0.0, self.dt)
        self._look_ahead()

    def _first_beyond(self, t: Floats) -> Ints:
        """The place in _times where each sample's first output after t stands."""
        if len(self._rows) == 1:
            shared: Ints = np.searchsorted(self._times, t, side="right")
            return shared
        beyond = torch.searchsorted(self._rows, torch.from_numpy(t).unsqueeze(1), right=True)
        own: Ints = self._first + beyond.squeeze(1).numpy()
        return own

    def _look_ahead(self) -> None:
        self._next_output = self._times[self._next]
        stop = np.minimum(self._stops[self._stop_index], self._next_output if self._land else self.end)
        self.stop = np.where(self.alive, stop, math.inf)
        self._ahead = np.minimum(self._next_output, self.stop)
