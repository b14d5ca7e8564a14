"""Work-precision panels: the error against its cost."""

from collections.abc import Sequence

from reports.measured import MeasuredCell
from reports.views.findings.configuration import Configuration, coarseness, grouped, settings
from reports.views.parts.figure import Axis, Line, Panel, drawable
from results import format as text

ERROR = Axis("error", text.error)
SECONDS = Axis("time of a forward solve", text.seconds)
CALLS = Axis("calls of the vector field (NFE)", text.count)


def precision_panels(cells: Sequence[MeasuredCell], x: Axis, name: str) -> list[Panel]:
    """The panels of error against a metric, one for each setting, with a line for each configuration."""
    return [
        Panel(title, x, ERROR, drawable(precision_lines(group, name), x, ERROR))
        for title, group in settings(cells).items()
    ]


def precision_lines(cells: Sequence[MeasuredCell], name: str) -> list[Line]:
    """The lines of a panel, one for each configuration, from coarse to fine."""
    ordered = sorted(cells, key=coarseness, reverse=True)
    return [
        Line(
            configuration.solver,
            configuration.backend,
            tuple((each.value(name), each.value("error")) for each in group),
        )
        for configuration, group in grouped(ordered, Configuration.of).items()
    ]


def undrawn(cells: Sequence[MeasuredCell]) -> tuple[str, ...]:
    """A note on the cells whose error has no place on a logarithmic axis."""
    zero = sum(each.value("error") == 0 for each in cells)
    wild = sum(each.value("error") == float("inf") for each in cells)
    notes = []
    if zero:
        notes.append(f"{text.plural(zero, 'cell')} with an error of exactly 0: in the tables, not in the figures.")
    if wild:
        notes.append(f"{text.plural(wild, 'cell')} with an infinite error: in the tables, not in the figures.")
    return tuple(notes)
