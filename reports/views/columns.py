"""Columns that several tables share: a cell's axes and its numbers."""

from reports import format as text
from reports.measured import MeasuredCell
from reports.views.choice import coarseness
from reports.views.table import Column, Value, number, words
from results.records import METRICS, Cell

Cells = Column[MeasuredCell]

SHORT_KEY = 7  # so many digits of a key are shown

KEY = Cells("cell", lambda each: words(each.key[:SHORT_KEY], link=each.key), title="key of the cell's own row")
PROBLEM = Cells("problem", lambda each: words(each.cell.problem))
SOLVER = Cells("solver", lambda each: words(each.cell.solver, hue=each.cell.solver))
BACKEND = Cells("backend", lambda each: words(each.cell.backend))
GRADIENT = Cells("gradient", lambda each: words(each.cell.gradient.removeprefix("none")))
DEVICE = Cells("device", lambda each: words(each.cell.device))
STEP = Cells("dt or\nrtol / atol", lambda each: Value(_step(each.cell), coarseness(each)), title="step or tolerances")
HORIZON = Cells("T", lambda each: number(each.cell.horizon, text.tolerance), numeric=True, title="end time")
OUTPUTS = Cells("outputs", lambda each: number(each.cell.n_outputs, text.count), numeric=True, title="output times")
STATUS = Cells("status", lambda each: words(each.status))


def _step(cell: Cell) -> str:
    if cell.dt is not None:
        return text.tolerance(cell.dt)
    return " / ".join(text.MISSING if value is None else text.tolerance(value) for value in (cell.rtol, cell.atol))


def metric(heading: str, name: str, form: text.Form) -> Cells:
    """A column of a metric, or of the median of samples."""
    return Cells(heading, lambda each: number(each.value(name), form), numeric=True, title=METRICS[name])


ERROR = metric("error", "error", text.error)
NFE = metric("NFE", "nfe_forward", text.count)
FORWARD = metric("forward", "forward_s", text.seconds)
GRADIENT_TIME = metric("with\ngradient", "gradient_s", text.seconds)
MEMORY = metric("peak\nmemory", "peak_bytes", text.size)
GRADIENT_ERROR = metric("gradient\nerror", "gradient_error", text.error)
FINAL_LOSS = metric("final\nloss", "final_loss", text.number)
TRAIN = metric("training", "train_s", text.seconds)

AXES = (PROBLEM, SOLVER, BACKEND, GRADIENT, STEP, HORIZON, OUTPUTS, DEVICE)
NUMBERS = (ERROR, NFE, FORWARD, GRADIENT_TIME, MEMORY, GRADIENT_ERROR, FINAL_LOSS, TRAIN)
ALL = (KEY, *AXES, *NUMBERS)
