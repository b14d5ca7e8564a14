"""A cut through a study: one axis of the sweep varies, the others are held at a middle value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.measured import MeasuredCell
from reports.views.findings.configuration import SETTINGS, coarseness, grouped, mode, step
from reports.views.parts.figure import Axis, Line, Panel, drawable

# An axis' place of a cell: what it is sorted by, and how it is said.
Place = tuple[float, str]
AXES: Mapping[str, Callable[[MeasuredCell], Place]] = {
    "step": lambda each: (coarseness(each), step(each.cell)),
    "horizon": lambda each: (each.cell.horizon, SETTINGS["horizon"](each.cell.horizon)),
    "n_outputs": lambda each: (each.cell.n_outputs, SETTINGS["n_outputs"](each.cell.n_outputs)),
}


@dataclass(frozen=True)
class Slice:
    """A cut along one axis of the sweep: the axis, and the metric that is shown along it."""

    varies: str  # a name in AXES
    x: Axis
    y: Axis
    x_of: Callable[[MeasuredCell], float]
    y_of: Callable[[MeasuredCell], float]


def slice_panel(cut: Slice, cells: Sequence[MeasuredCell]) -> Panel:
    """The panel of one cut: colour by gradient mode, stroke by backend; the title names what is held."""
    held = {name: _middle(cells, place) for name, place in AXES.items() if name != cut.varies}
    along = [each for each in cells if all(AXES[name](each) == place for name, place in held.items())]
    along.sort(key=AXES[cut.varies])
    ticks = sorted({AXES[cut.varies](each)[0] for each in along}) if cut.varies != "step" else ()
    x = replace(cut.x, ticks=tuple(ticks))
    return Panel(", ".join(said for _, said in held.values()), x, cut.y, drawable(_lines(cut, along), cut.x, cut.y))


def _middle(cells: Sequence[MeasuredCell], place: Callable[[MeasuredCell], Place]) -> Place:
    """The place that most cells share, for a sweep may vary one axis at a time; of equals the middle one."""
    counts = Counter(place(each) for each in cells)
    most = sorted(each for each, count in counts.items() if count == max(counts.values()))
    return most[len(most) // 2]


def _lines(cut: Slice, cells: Sequence[MeasuredCell]) -> list[Line]:
    modes = grouped(cells, lambda each: (mode(each.cell), each.cell.backend))
    return [
        Line(gradient, backend, tuple((cut.x_of(each), cut.y_of(each)) for each in group))
        for (gradient, backend), group in modes.items()
    ]
