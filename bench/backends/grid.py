"""The grid of a cell's fixed steps, which every library is given: as many steps in each."""

import math
from collections.abc import Sequence

from node.controller import SAME_TIME, FixedStep


def grid(dt: float, times: Sequence[float]) -> list[float]:
    """The start and the ends of steps of dt over these times; the last step is shortened to end on the last of them.

    A time that is the end of a step but for rounding is on the grid itself: there is nothing to interpolate.
    """
    ends = [times[0], *FixedStep(dt=dt).grid(times[0], times[-1])]
    for time in times[1:-1]:
        nearest = round(abs(time - times[0]) / dt)
        if nearest < len(ends) and abs(ends[nearest] - time) <= SAME_TIME * dt:
            ends[nearest] = time
    return ends


def met(dt: float, times: Sequence[float]) -> bool:
    """Whether a step ends on each of these times but for rounding, the last one left aside: there one always does."""
    return all(abs(math.remainder(time - times[0], dt)) <= SAME_TIME * dt for time in times[1:-1])
