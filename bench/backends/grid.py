"""The grid of a cell's fixed steps, which every library is given: as many steps in each."""

import math
from collections.abc import Sequence

_ROUNDING = 1e-9  # of a step: as near as that, its end is a time


def grid(dt: float, times: Sequence[float]) -> list[float]:
    """The start and the ends of steps of dt over these times; the last step is shortened to end on the last of them.

    A time that is the end of a step but for rounding is on the grid itself: there is nothing to interpolate.
    """
    from node.controller import FixedStep

    ends = [times[0], *FixedStep(dt=dt).grid(times[0], times[-1])]
    for time in times[1:-1]:
        nearest = round(abs(time - times[0]) / dt)
        if nearest < len(ends) and abs(ends[nearest] - time) <= _ROUNDING * dt:
            ends[nearest] = time
    return ends


def met(dt: float, times: Sequence[float]) -> bool:
    """Whether a step ends on each of these times but for rounding, the last one left aside: there one always does."""
    return all(abs(math.remainder(time - times[0], dt)) <= _ROUNDING * dt for time in times[1:-1])
