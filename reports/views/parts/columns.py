"""Columns that several tables share: a cell's axes and its numbers."""

from dataclasses import replace

from reports.measured import MeasuredCell
from reports.views.findings.configuration import coarseness
from reports.views.parts.table import Column, Value, number, ratio, words
from results import format as text
from results.metrics import METRICS
from results.records import Cell

Cells = Column[MeasuredCell]

SHORT_KEY = 7  # digits of a key that are shown

KEY = Cells("cell", lambda each: words(each.key[:SHORT_KEY], link=each.key), title="key of the cell's own row")
PROBLEM = Cells("problem", lambda each: words(each.cell.problem))
SOLVER = Cells("solver", lambda each: words(each.cell.solver, hue=each.cell.solver))
BACKEND = Cells("backend", lambda each: words(each.cell.backend))
GRADIENT = Cells("gradient", lambda each: words(each.cell.gradient.removeprefix("none")))
OPTIONS = Cells("options", lambda each: words(_options(each.cell)), title="of problem, solver, mode and backend")
DEVICE = Cells("device", lambda each: words(each.cell.device))
STEP = Cells("dt or\nrtol / atol", lambda each: Value(_step(each.cell), coarseness(each)), title="step or tolerances")
HORIZON = Cells("T", lambda each: number(each.cell.horizon, text.tolerance), numeric=True, title="end time")
OUTPUTS = Cells("outputs", lambda each: number(each.cell.n_outputs, text.count), numeric=True, title="output times")
STATUS = Cells("status", lambda each: words(each.status))


def _options(cell: Cell) -> str:
    return ", ".join(f"{name} = {value}" for name, value in cell.option_values.items())


def _step(cell: Cell) -> str:
    if cell.dt is not None:
        return text.tolerance(cell.dt)
    return " / ".join(text.MISSING if value is None else text.tolerance(value) for value in (cell.rtol, cell.atol))


def metric(heading: str, name: str, form: text.Form) -> Cells:
    """A column of a metric, or of the medians of samples."""
    return Cells(heading, lambda each: number(each.value(name), form), numeric=True, title=METRICS[name].meaning)


def time(measured: MeasuredCell, name: str) -> Value:
    """The median of samples, with the half-width of its ratio to the control; marked if that is too wide."""
    said = number(measured.value(name), text.seconds)
    paired = measured.ratios.get(name)
    if said.sort is None or name not in measured.samples:
        return said
    note = text.within(paired) if paired else ""
    return replace(said, note=note, unsettled=measured.unstable)


def over_control(measured: MeasuredCell, name: str) -> Value:
    """The ratio of the time to that of the block's control, with its interval."""
    if measured.is_control and name in measured.samples:
        return Value("control", 1.0)
    return ratio(measured.ratios[name]) if name in measured.ratios else Value(text.MISSING, None)


def timed(heading: str, name: str) -> Cells:
    """A column of times."""
    title = f"{METRICS[name].meaning}: median ± half-width of the 95% interval of its ratio to the block's control"
    return Cells(heading, lambda each: time(each, name), numeric=True, title=title)


def relative(heading: str, name: str) -> Cells:
    """A column of ratios of times to those of the control."""
    title = f"{METRICS[name].meaning}, over the same of the block's control "
    title += "(over its forward solve, if it has no more): median of paired ratios [95% interval]"
    return Cells(heading, lambda each: over_control(each, name), numeric=True, title=title)


ERROR = metric("error", "error", text.error)
NFE = metric("NFE", "nfe_forward", text.count)
FORWARD = timed("forward", "forward_s")
FORWARD_RATIO = relative("forward over\ncontrol", "forward_s")
GRADIENT_TIME = timed("with\ngradient", "gradient_s")
GRADIENT_RATIO = relative("gradient over\ncontrol", "gradient_s")
MEMORY = metric("peak\nmemory", "peak_bytes", text.size)
GRADIENT_ERROR = metric("gradient\nerror", "gradient_error", text.error)
FINAL_LOSS = metric("final\nloss", "final_loss", text.number)
TRAIN = metric("training", "train_s", text.seconds)

AXES = (PROBLEM, SOLVER, BACKEND, GRADIENT, OPTIONS, STEP, HORIZON, OUTPUTS, DEVICE)
NUMBERS = (ERROR, NFE, FORWARD, FORWARD_RATIO, GRADIENT_TIME, GRADIENT_RATIO, MEMORY, GRADIENT_ERROR, FINAL_LOSS, TRAIN)
ALL = (KEY, *AXES, *NUMBERS)
