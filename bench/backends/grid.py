"""The grid of a cell's fixed steps, given to every library, so that all take equally many steps."""

import math
from collections.abc import Sequence

_ROUNDING = 1e-9  # of a step: an output this near to the end of a step counts as that end


def grid(dt: float, times: Sequence[float]) -> list[float]:
    """The start and the ends of steps of dt over these times; the last step is shortened to end on the last time.

    A time that is the end of a step up to rounding replaces it on the grid: there is nothing to interpolate.
    """
    from node.controller import FixedStep

    ends = [times[0], *FixedStep(dt=dt).grid(times[0], times[-1])]
    for time in times[1:-1]:
        nearest = round(abs(time - times[0]) / dt)
        if nearest < len(ends) and abs(ends[nearest] - time) <= _ROUNDING * dt:
            ends[nearest] = time
    return ends


def steps_end_on(dt: float, times: Sequence[float]) -> bool:
    """Whether a step ends on each of these times up to rounding; on the last time a step always ends."""
    return all(abs(math.remainder(time - times[0], dt)) <= _ROUNDING * dt for time in times[1:-1])
