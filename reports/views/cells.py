"""Cells with their numbers, as `nodebench show` prints them: in the units and with the rounding of the page."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pandas import DataFrame

from reports.measured import MeasuredCell
from reports.reading import Frames, measured_cells
from reports.views.parts import columns
from reports.views.parts.glossary import BRIEF
from reports.views.parts.table import Table, Value, number, tabulate
from reports.views.wanted import only_one
from results import format as text
from results.metrics import METRICS
from results.read.where import Where
from results.records import TRIAL_KINDS, Cell
from results.store import Store

_MARKS = ("unstable", "cut_ratio", "gpu_throttled")  # answers of yes or no, and what is said in words
_EVERY = Where()
_LEFT_OUT = (*_MARKS, "busy_s")  # of each process: the samples have it
_TASKS = {"train_s": "training", "gradient_s": "gradient", "forward_s": "forward", "call_s": "call"}  # longest first


@dataclass(frozen=True)
class Number:
    """A metric of a cell."""

    name: str  # of results.METRICS
    value: str  # with its unit; the median where it was sampled
    interval: str  # half-width of the 95% interval of its ratio to the control; empty if it was not sampled, or alone
    meaning: str  # in few words


@dataclass(frozen=True)
class CellView:
    """What is known of a cell in one environment."""

    status: str
    fingerprint: str  # of the environment; empty if nothing was measured
    others: tuple[str, ...]  # fingerprints of the other environments that have trials of the cell
    numbers: tuple[Number, ...]
    remarks: tuple[str, ...]  # how far the times can be trusted
    control: str  # key of the cell that it was timed beside; empty if there was none, or it is the control itself
    ratios: tuple[tuple[str, str], ...]  # names of times, and their ratios to the control's with intervals


def cell_view(
    store: Store, cell: Cell, *, environment: str = "", prefer: Collection[str] = (), among: Where = _EVERY
) -> CellView:
    """The cell with its numbers in one environment: the one asked for, or the one that measured it last here.

    `environment`: the start of a fingerprint. `prefer`: keys of the code whose trials are shown where there are any.
    `among`: the condition on the trials that count.
    """
    of_cell = replace(among, cell_key=cell.key, prefer=prefer)
    known = _environments(store, of_cell)
    if not known:
        return CellView("pending", "", (), (), (), "", ())
    fingerprint = only_one("environment", environment, known) if environment else known[-1]
    where = replace(of_cell, fingerprint=fingerprint)
    keys = {cell.key, *_controls(store, cell, where)}
    measured = _measured(store, replace(where, cell_key=list(keys)))[cell.key]
    controls = [each.key for each in measured.block.controls if each.key != cell.key]
    return CellView(
        measured.status,
        fingerprint,
        tuple(each for each in known if each != fingerprint),
        tuple(_numbers(measured)),
        tuple(_remarks(measured)),
        "" if measured.is_control else next(iter(controls), ""),
        tuple((name, text.ratio(ratio)) for name, ratio in measured.ratios.items()),
    )


def cells_table(
    store: Store, where: Where, *, environment: str = "", prefer: Collection[str] = ()
) -> tuple[str, Table]:
    """The environment that is shown, and a table with a row for each cell that meets the condition.

    A row's anchor is the cell's key; its entries are the status, the time of what the cell measures (a solve, a solve
    with its gradient, a training), the error and the memory. The heading of the time says what it is of, or, where
    that differs, each entry.
    """
    where = replace(where, prefer=prefer)
    known = _environments(store, where)
    fingerprint = (only_one("environment", environment, known) if environment else known[-1]) if known else ""
    cells = _without_ratios(store, replace(where, fingerprint=fingerprint))
    tasks = dict.fromkeys(filter(None, map(_task, cells)))
    heading = _TASKS[next(iter(tasks))] if len(tasks) == 1 else "time"
    time = columns.Cells(heading, lambda each: _own_time(each, named=len(tasks) > 1), numeric=True)
    shown = (columns.STATUS, time, columns.ERROR, columns.MEMORY)
    return fingerprint, tabulate("", shown, cells, anchor=lambda each: each.key)


def _task(measured: MeasuredCell) -> str:
    """The name of the time of all that the cell measures; empty if it was not timed."""
    return next((name for name in _TASKS if measured.value(name) == measured.value(name)), "")


def _own_time(measured: MeasuredCell, *, named: bool) -> Value:
    task = _task(measured)
    said = number(measured.value(task) if task else None, text.seconds)
    return replace(said, text=f"{said.text} {_TASKS[task]}") if task and named else said


def _environments(store: Store, where: Where) -> list[str]:
    """The environments that have trials of such cells; the last one is that of the own run that was recorded last."""
    runs = store.runs()
    measured = runs[runs["run_id"].isin(store.trials(where)["run_id"])]
    ordered = measured.sort_values("merged", ascending=False, kind="stable")["fingerprint"]
    return list(dict.fromkeys(reversed(ordered.tolist())))[::-1]


def _controls(store: Store, cell: Cell, where: Where) -> Sequence[str]:
    """The keys of the cells that were the controls of the cell's block."""
    shared = ("problem", "horizon", "n_outputs", "batch_size", "dtype", "device", "threads", "seed", "iterations")
    of_block = replace(where, cell_key=None, kind="twin", **{name: getattr(cell, name) for name in shared})
    return list(store.trials(of_block)["cell_key"].unique())


def _measured(store: Store, where: Where) -> dict[str, MeasuredCell]:
    """The cells by key, with their measurements."""
    return measured_cells(_planned(store, where), Frames.of(store, where))


def _without_ratios(store: Store, where: Where) -> list[MeasuredCell]:
    """The cells with their measurements, but without their ratios to the control, which take a while, and curves."""
    own = replace(where, kind=[kind for kind in TRIAL_KINDS if kind != "twin"])
    no_curves = store.curves(replace(own, cell_key=[]))
    frames = Frames(store.trials(own), store.metrics(own), store.samples(own), no_curves)
    return sorted(measured_cells(_planned(store, where), frames).values(), key=lambda each: each.cell.label)


def _planned(store: Store, where: Where) -> DataFrame:
    return store.cells(replace(where, fingerprint=None, prefer=None)).rename(columns={"key": "cell_key"})


def _numbers(measured: MeasuredCell) -> list[Number]:
    """The metrics that the cell has, in the order of results.METRICS."""
    numbers = []
    for name, metric in METRICS.items():
        if name not in _LEFT_OUT and (name in measured.metrics or name in measured.samples):
            value = columns.time(measured, name)
            mark = "≈ " if value.unsettled else ""
            said = f"{mark}{text.of_metric(measured.value(name), metric)}"
            numbers.append(Number(name, said, value.note, BRIEF.get(name, metric.meaning)))
    return numbers


def _remarks(measured: MeasuredCell) -> list[str]:
    remarks = []
    if measured.unstable:
        remarks.append("≈ timing ended before the ratio to the control was as sure as asked")
    if (slower := measured.value("cut_ratio")) == slower:
        remarks.append(f"timed no further: {text.times(slower)} the time of a cell that is no less exact")
    if measured.value("gpu_throttled") > 0:
        remarks.append("the GPU held its clock down for heat or power while this cell was timed")
    return remarks
