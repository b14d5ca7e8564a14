"""Slices of a study: one axis of the sweep varies, the others are held at a middle value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reports.measured import MeasuredCell
from reports.views.findings.axes import AXES, middle
from reports.views.findings.configuration import grouped, mode
from reports.views.parts.figure import Axis, Line, Panel, drawable


@dataclass(frozen=True)
class Slice:
    """A slice along one axis of the sweep: the axis, and the metric that is shown along it."""

    varies: str  # a name in AXES
    x: Axis
    y: Axis
    x_of: Callable[[MeasuredCell], float]
    y_of: Callable[[MeasuredCell], float]


def slice_panel(slice_: Slice, cells: Sequence[MeasuredCell]) -> Panel:
    """The panel of a slice: colour by gradient mode, stroke by backend; the title names the values held."""
    held = {name: middle(cells, place) for name, place in AXES.items() if name != slice_.varies}
    along = [each for each in cells if all(AXES[name](each) == place for name, place in held.items())]
    along.sort(key=AXES[slice_.varies])
    ticks = sorted({AXES[slice_.varies](each)[0] for each in along}) if slice_.varies != "step" else ()
    x = replace(slice_.x, ticks=tuple(ticks))
    return Panel(
        ", ".join(said for _, said in held.values()), x, slice_.y, drawable(_lines(slice_, along), slice_.x, slice_.y)
    )


def _lines(slice_: Slice, cells: Sequence[MeasuredCell]) -> list[Line]:
    modes = grouped(cells, lambda each: (mode(each.cell), each.cell.backend))
    return [
        Line(gradient, backend, tuple((slice_.x_of(each), slice_.y_of(each)) for each in group))
        for (gradient, backend), group in modes.items()
    ]
