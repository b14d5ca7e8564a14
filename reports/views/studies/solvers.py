"""Study `solvers`: fixed-step methods, their order and their cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.measured import MeasuredCell, measured_of
from reports.views.findings.configuration import Configuration, grouped, settings
from reports.views.findings.precision import ERROR, SECONDS, precision_panels, undrawn
from reports.views.findings.quickest import solver_answers
from reports.views.findings.time_to_error import SOLVES, TimeToError, stated
from reports.views.parts import columns
from reports.views.parts.figure import Axis, Line, Panel, drawable, figures
from reports.views.parts.section import Section
from reports.views.parts.table import Column, Table, Value, number, tabulate, words
from reports.views.studies import SECTIONS
from results import format as text
from results.statistics.ratio import Order, fitted_order

TITLE = "Fixed-step solvers"
QUESTION = "Which method buys an error for the least time, and does each keep its order?"
READING = (
    "Left to right is finer and dearer, down is better. In the first figure the slope of a line is the observed "
    "order of convergence, written at its end; lines flatten where rounding takes over. In the second, the line "
    "furthest to the lower left is the one to choose."
)


@dataclass(frozen=True)
class SolverRow:
    """A configuration in one setting: its order, its cell at the finest common step, its quickest cell."""

    setting: str
    configuration: Configuration
    order: Order
    common: MeasuredCell | None  # at the finest step that all configurations of the setting have
    quickest: MeasuredCell | None  # the quickest cell within the target
    target: float


@SECTIONS.register(name="solvers", doc=TITLE)
def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    return Section(
        study,
        TITLE,
        QUESTION,
        answers=solver_answers(cells),
        reading=READING,
        figures=(
            *figures("Error against the step", order_panels(cells)),
            *figures("Error against time", precision_panels(cells, SECONDS, "forward_s")),
        ),
        tables=tuple(solver_table(title, group) for title, group in settings(cells).items()),
        notes=undrawn(cells),
    )


def order_panels(cells: Sequence[MeasuredCell]) -> list[Panel]:
    """The panels of error against dt, with each configuration's observed order at the end of its line."""
    ticks = tuple(sorted({each.cell.dt for each in cells if each.cell.dt is not None}))
    dt = Axis("step dt, finer to the right", text.tolerance, ticks=ticks, reversed=True)
    return [
        Panel(title, dt, ERROR, drawable(order_lines(group), dt, ERROR)) for title, group in settings(cells).items()
    ]


def order_lines(cells: Sequence[MeasuredCell]) -> list[Line]:
    """A line for each configuration; of those with the same solver the first is labelled."""
    lines: list[Line] = []
    for configuration, group in grouped(cells, Configuration.of).items():
        points = [(each.cell.dt, each.value("error")) for each in group if each.cell.dt is not None]
        named = any(line.hue == configuration.solver for line in lines)
        label = "" if named else _labelled(configuration.solver, order_of(group))
        lines.append(
            Line(configuration.solver, configuration.backend, tuple(sorted(points, reverse=True)), label=label)
        )
    return lines


def _labelled(solver: str, order: Order) -> str:
    return solver if math.isnan(order.slope) else f"{solver} {text.order(order.slope)}"


def order_of(cells: Sequence[MeasuredCell]) -> Order:
    """The observed order of one configuration's cells."""
    stepped = [each for each in measured_of(cells, "error") if each.cell.dt is not None]
    steps = [each.cell.dt for each in stepped if each.cell.dt is not None]
    return fitted_order(steps, [each.value("error") for each in stepped], dtype=cells[0].cell.dtype)


def solver_rows(setting: str, cells: Sequence[MeasuredCell]) -> list[SolverRow]:
    """The rows of the table, one for each configuration of the setting."""
    fastest = TimeToError.of(cells)
    quickest = {Configuration.of(each): each for each in fastest.cells} if fastest else {}
    configurations = grouped(cells, Configuration.of)
    steps = set.intersection(*({each.cell.dt for each in group} for group in configurations.values()))
    finest = min((dt for dt in steps if dt is not None), default=None)
    return [
        SolverRow(
            setting,
            configuration,
            order_of(group),
            next((each for each in group if each.cell.dt == finest), None),
            quickest.get(configuration),
            fastest.error if fastest else stated(cells, SOLVES) or math.nan,
        )
        for configuration, group in configurations.items()
    ]


def solver_table(setting: str, cells: Sequence[MeasuredCell]) -> Table:
    """The table of configurations: order, the finest common step, and the time to the target."""
    rows = solver_rows(setting, cells)
    common = next((row.common for row in rows if row.common), None)
    at = f"at dt = {text.tolerance(common.cell.dt)}" if common and common.cell.dt else ""
    to = f"to error {text.tolerance(rows[0].target)}"
    return tabulate(
        setting,
        [
            Column[SolverRow]("solver", lambda row: words(row.configuration.solver, hue=row.configuration.solver)),
            Column("backend", lambda row: words(row.configuration.backend)),
            Column("order", lambda row: number(row.order.slope, text.order), True, "observed order"),
            Column("points", _points, True, "points that the order is fitted to, of those measured"),
            Column(f"error\n{at}", lambda row: _of(row.common, "error", text.error), True),
            Column(f"NFE\n{at}", lambda row: _of(row.common, "nfe_forward", text.count), True),
            Column(f"time\n{at}", lambda row: _time(row.common), True, columns.FORWARD.title),
            Column(f"time\n{to}", lambda row: _time(row.quickest), True, columns.FORWARD.title),
            Column(f"dt\n{to}", lambda row: number(_dt(row.quickest), text.tolerance), True),
        ],
        rows,
    )


def _points(row: SolverRow) -> Value:
    total = row.order.points + row.order.left_out
    return Value(f"{row.order.points} of {total}", row.order.points)


def _of(cell: MeasuredCell | None, name: str, form: text.Form) -> Value:
    return number(cell.value(name) if cell else None, form)


def _time(cell: MeasuredCell | None) -> Value:
    return columns.time(cell, "forward_s") if cell else number(None, text.seconds)


def _dt(cell: MeasuredCell | None) -> float | None:
    return cell.cell.dt if cell else None
