"""The times, step sizes, next outputs and stops of many samples."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from node.controller import SAME_TIME

# NumPy, as an operation on a few numbers takes a third of the time that it takes in torch.
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Landed(NamedTuple):
    """Outputs at the ends of their samples' steps: (m,) each."""

    output: Ints
    sample: Ints

    def chosen(self, places: Bools) -> "Landed | None":
        """The outputs at these places (T, B)."""
        chosen = places[self.output, self.sample]
        return Landed(self.output[chosen], self.sample[chosen]) if chosen.any() else None


class Within(NamedTuple):
    """Outputs within their samples' steps: (m,) each."""

    output: Ints
    sample: Ints
    theta: Floats  # the place in the step, from 0 at its start to 1 at its end

    def chosen(self, places: Bools) -> "Within | None":
        """The outputs at these places (T, B)."""
        chosen = places[self.output, self.sample]
        return Within(self.output[chosen], self.sample[chosen], self.theta[chosen]) if chosen.any() else None


class Passed(NamedTuple):
    """The outputs that samples' steps have passed or met: (m,) each."""

    output: Ints  # the index of the output
    sample: Ints  # the index of the sample that has passed it
    t: Floats  # the time of the output, on the clock
    met: Bools  # whether the sample's step ends at the output

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
    """The samples' times, next outputs and stops, (B,) each, on the CPU, where the loop makes its decisions.

    The clock always runs forwards: in a solve backwards in time it shows -t. A sample that has ended keeps its time,
    with step size zero and no further stops.
    """

    stop: Floats  # the next time that a step must end at
    _next_output: Floats  # the time of the next output
    _ahead: Floats  # the nearer of the two

    def __init__(self, times: Tensor, stops: Sequence[float], *, land: bool = False) -> None:
        """Start the clock of all samples.

        times: (B, T), the rows monotonic in one direction. stops: other times that steps must end at. land: whether
        steps must end at outputs too. A sample whose first and last times are equal has ended.
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
        self._next = self._first + 1  # the index in _times of each sample's next output
        self._stops = np.array(sorted({self.sign * t for t in stops} | {math.inf}))
        self.start = self._times[self._first]
        self.end = self._times[self._first + n - 1]
        self._stop_index = np.searchsorted(self._stops, self.start, side="right")
        self.t = self._t1 = self.start
        self.dt = np.zeros(samples)  # the sizes of the next steps to try
        self.alive = self.start != self.end
        self._land = land
        self._near = False  # whether a sample's step may meet or pass an output or a stop
        self._stopping = np.zeros_like(self.alive)  # the samples whose step ends at their stop
        self._look_ahead()

    def meet(self, t1: Floats) -> Floats:
        """The ends of steps to t1: an output equal to t1 up to rounding, the stop if t1 meets or passes it, or t1."""
        slack = (t1 - self.t) * SAME_TIME
        self._near = bool((t1 + slack >= self._ahead).any())
        if not self._near:
            return t1
        self._stopping = self.stop - t1 <= slack
        met = np.abs(self._next_output - t1) <= slack
        self._t1 = np.where(met, self._next_output, np.where(self._stopping, self.stop, t1))
        return self._t1

    def passed(self) -> Passed | None:
        """The outputs up to t since the last call; None if there are none.

        After the call the next output of each sample is the first one after t.
        """
        if not (self._near and (self._next_output <= self.t).any()):
            return None
        after = self._first_beyond(self.t)
        counts = after - self._next
        sample = np.repeat(self._samples, counts)
        # The indices of each sample's passed outputs are consecutive, from its own `_next`.
        place = np.arange(len(sample)) + (self._next + counts - counts.cumsum())[sample]
        times = self._times[place]
        self._next = after
        self._next_output = self._times[after]
        self._ahead = np.minimum(self._next_output, self.stop)
        return Passed(place - self._first[sample], sample, times, times == self.t[sample])

    def at_stop(self) -> Bools | None:
        """The samples that have reached their stop; None if there are none. Those at their end time are ended."""
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
        """Times or step sizes of the solve from those on the clock, or the reverse."""
        return x if self.sign > 0 else -x

    def finish(self, ended: Bools) -> None:
        """End these samples: their time stays as it is."""
        self.alive = self.alive & ~ended
        self.dt = np.where(ended, 0.0, self.dt)
        self._look_ahead()

    def _first_beyond(self, t: Floats) -> Ints:
        """The index in _times of each sample's first output after t."""
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
