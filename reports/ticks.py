"""The ticks of axes, and their labels."""

import math

from reports.plotting import Axis as DrawnAxis
from reports.plotting import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from reports.views.parts.figure import Axis
from results import format as text

MOST = 6  # ticks of one axis


def set_ticks(drawn: DrawnAxis, axis: Axis) -> None:
    """Give the axis few, round ticks; its scale and range must be set before."""
    low, high = sorted(drawn.get_view_interval())
    if axis.ticks:
        drawn.set_major_locator(FixedLocator(axis.ticks))
    elif not axis.log:
        drawn.set_major_locator(FixedLocator(_linear(low, high, axis.base)))
    else:
        drawn.set_major_locator(_logarithmic(low, high))
    drawn.set_major_formatter(FuncFormatter(lambda value, _: text.tick(axis.form(value))))
    drawn.set_minor_locator(NullLocator())
    drawn.set_minor_formatter(NullFormatter())


def _linear(low: float, high: float, base: float) -> list[float]:
    """The ticks, at round numbers of the largest power of the base: 0.5 MiB and not 500 kB."""
    unit = base ** math.floor(math.log(max(abs(low), abs(high)), base)) if base != 10 else 1.0
    ticks = MaxNLocator(MOST - 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low / unit, high / unit)
    return [tick * unit for tick in ticks if low <= tick * unit <= high]


def _logarithmic(low: float, high: float) -> LogLocator | MaxNLocator:
    decades = math.log10(high / low)
    if decades < 0.7:
        return MaxNLocator(MOST - 1)
    return LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.3 else (1.0,), numticks=MOST + 2)
