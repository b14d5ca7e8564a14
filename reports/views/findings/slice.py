"""Slices of a study: one axis of the sweep varies, the others are held at a middle value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.measured import MeasuredCell
from reports.views.findings.configuration import SETTINGS, coarseness, grouped, mode, step
from reports.views.parts.figure import Axis, Line, Panel, drawable

# The value of an axis: the number that it is sorted by, and its text.
Place = tuple[float, str]
AXES: Mapping[str, Callable[[MeasuredCell], Place]] = {
    "step": lambda each: (coarseness(each), step(each.cell)),
    "horizon": lambda each: (each.cell.horizon, SETTINGS["horizon"](each.cell.horizon)),
    "n_outputs": lambda each: (each.cell.n_outputs, SETTINGS["n_outputs"](each.cell.n_outputs)),
}


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
    held = {name: _middle(cells, place) for name, place in AXES.items() if name != slice_.varies}
    along = [each for each in cells if all(AXES[name](each) == place for name, place in held.items())]
    along.sort(key=AXES[slice_.varies])
    ticks = sorted({AXES[slice_.varies](each)[0] for each in along}) if slice_.varies != "step" else ()
    x = replace(slice_.x, ticks=tuple(ticks))
    return Panel(
        ", ".join(said for _, said in held.values()), x, slice_.y, drawable(_lines(slice_, along), slice_.x, slice_.y)
    )


def _middle(cells: Sequence[MeasuredCell], place: Callable[[MeasuredCell], Place]) -> Place:
    """The value that most cells share, as a sweep may vary one axis at a time; of several such the middle one."""
    counts = Counter(place(each) for each in cells)
    most = sorted(each for each, count in counts.items() if count == max(counts.values()))
    return most[len(most) // 2]


def _lines(slice_: Slice, cells: Sequence[MeasuredCell]) -> list[Line]:
    modes = grouped(cells, lambda each: (mode(each.cell), each.cell.backend))
    return [
        Line(gradient, backend, tuple((slice_.x_of(each), slice_.y_of(each)) for each in group))
        for (gradient, backend), group in modes.items()
    ]
