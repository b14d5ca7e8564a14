"""Study `adjoint`: the cost of each way to differentiate a solve, and the error of its gradient."""

from collections.abc import Callable, Sequence

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.configuration import settings
from reports.views.findings.exactness import exactness_answer
from reports.views.findings.library import library_answers, library_pairs
from reports.views.findings.mode_answers import SETTING, mode_point_answer, mode_points
from reports.views.findings.mode_axes import memory_answer, time_answer
from reports.views.findings.modes import CLOCK, ModeRow, mode_pairs, mode_rows
from reports.views.findings.quickest import quickest_answers
from reports.views.findings.series import along, axes_of
from reports.views.findings.slice import Slice, slice_panel
from reports.views.findings.time_to_error import GRADIENTS, stated, times_to_error
from reports.views.parts import columns
from reports.views.parts.figure import Axis, figures
from reports.views.parts.section import Section
from reports.views.parts.table import Column, Table, Value, number, ratio, tabulate, words
from reports.views.studies import SECTIONS
from results import format as text
from results.metrics import METRICS

TITLE = "Ways to differentiate a solve"
QUESTION = "What do the gradient modes cost in time, calls and memory, and how exact are their gradients?"
READING = (
    "Colour is the gradient mode, stroke and marker the library. Each panel varies one axis of the sweep and holds "
    "the others at the middle value that its title names. The first panel is the one to choose by: seconds for an "
    "equally exact gradient. In the tables a time ratio in grey is no difference: it is within the noise floor, or too "
    "uncertain."
)
SECONDS = Axis("solve with its gradient", text.seconds)
OUTPUTS = Axis("output times", text.count)


def value(name: str) -> Callable[[MeasuredCell], float]:
    """A metric, or the median of samples, as a function of the cell."""
    return lambda each: each.value(name)


SLICES = (
    Slice(
        "step",
        SECONDS,
        Axis("relative gradient error", text.error),
        value("gradient_s"),
        value("gradient_error"),
    ),
    Slice(
        "horizon",
        Axis("end time T", text.tolerance, log=False),
        Axis("peak memory", text.size, log=False, base=1024),
        lambda each: each.cell.horizon,
        value("peak_bytes"),
    ),
    Slice(
        "n_outputs",
        OUTPUTS,
        Axis("backward NFE + VJPs", text.count),
        lambda each: each.cell.n_outputs,
        lambda each: each.value("nfe_backward") + each.value("vjp_backward"),
    ),
    Slice("n_outputs", OUTPUTS, SECONDS, lambda each: each.cell.n_outputs, value("gradient_s")),
)


@SECTIONS.register(name="adjoint", doc=TITLE)
def section(study: str, cells: Sequence[MeasuredCell]) -> Section:
    """The section of the study; `cells` are its cells that have a number."""
    by_setting = times_to_error(cells, GRADIENTS) if stated(cells, GRADIENTS) is not None else {}
    points = mode_points(cells)
    decisive = [
        *(pair for each in by_setting.values() for pair in each.pairs),
        *(p for each in points for p in each.pairs),
    ]
    times = compare([*mode_pairs(cells), *library_pairs(cells, CLOCK), *decisive], CLOCK)
    rows = mode_rows(cells, times)
    followed = [each for axis in axes_of(cells) for each in along(cells, axis, rows)]
    answers = (
        *(quickest_answers(cells, GRADIENTS, times) if stated(cells, GRADIENTS) is not None else ()),
        *(mode_point_answer(point, times) for point in points),
        *(exactness_answer(each) for each in followed if each.axis == "step"),
        *(time_answer(each) for each in followed),
        *(memory_answer(each) for each in followed),
        *library_answers(cells, CLOCK, "gradient_error", times),
    )
    alike = settings(cells, SETTING)
    return Section(
        study,
        TITLE,
        QUESTION,
        answers=tuple(answer for answer in answers if answer),
        reading=READING,
        figures=tuple(
            figure
            for title, group in alike.items()
            for figure in figures(title, (slice_panel(slice_, group) for slice_ in SLICES))
        ),
        tables=tuple(mode_table(title, group, rows) for title, group in alike.items()),
    )


def mode_table(setting: str, cells: Sequence[MeasuredCell], rows: Sequence[ModeRow]) -> Table:
    """The table of modes over the one that they are compared with; the cells alone if there is no pair."""
    keys = {each.key for each in cells}
    rows = [row for row in rows if row.measured.key in keys]
    if not rows:
        return tabulate(setting, columns.ALL, cells)
    common = rows[0].compared_with.cell.gradient
    return tabulate(
        f"{setting}: each mode over {common}",
        [
            Column[ModeRow]("mode", lambda row: words(row.mode, hue=row.mode)),
            *(_own(axis) for axis in (columns.BACKEND, columns.STEP, columns.HORIZON, columns.OUTPUTS)),
            Column("time\nratio", _time_ratio, True, "median of paired ratios [95% interval]"),
            Column("memory\nratio", lambda row: number(row.quotient("peak_bytes"), text.times), True),
            _own(columns.GRADIENT_TIME),
            _own(columns.MEMORY),
            Column(
                "gradient\nerror",
                _gradient_errors,
                True,
                f"{METRICS['gradient_error'].meaning}; beside it {common}'s",
            ),
            _own(columns.metric("from\ndiscrete", "gradient_error_discrete", text.error)),
            _own(columns.metric("NFE\nback", "nfe_backward", text.count)),
            _own(columns.metric("VJP\nback", "vjp_backward", text.count)),
            _own(columns.KEY),
        ],
        rows,
    )


def _own(column: columns.Cells) -> Column[ModeRow]:
    return Column(column.heading, lambda row: column.show(row.measured), column.numeric, column.title)


def _time_ratio(row: ModeRow) -> Value:
    if row.time is None:
        return Value(text.MISSING, None)
    return ratio(row.time.ratio, quiet=not row.time.differs)


def _gradient_errors(row: ModeRow) -> Value:
    own, other = row.measured.value("gradient_error"), row.compared_with.value("gradient_error")
    return number(own, lambda error: f"{text.error(error)} / {text.error(other)}")
