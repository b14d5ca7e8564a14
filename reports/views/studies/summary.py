"""The table of all cells, as the page shows it and with raw numbers."""

import math
from collections.abc import Collection, Iterator
from dataclasses import fields

from reports.measured import MeasuredCell
from reports.views.parts import columns
from reports.views.parts.table import Table, tabulate
from results.metrics import METRICS
from results.records import Cell

Raw = str | float | None

_FIELDS = tuple(each.name for each in fields(Cell))
_NUMBERS = ("error", "nfe_forward", "forward_s", "gradient_s", "peak_bytes", "gradient_error", "final_loss", "train_s")
_TIMED = ("forward_s", "gradient_s")


def summary_table(cells: Collection[MeasuredCell]) -> Table:
    """The table with a row for each cell, in the sweep's order; a row's anchor is the cell's key."""
    shown = (columns.KEY, columns.STATUS, *columns.AXES, *columns.NUMBERS)
    return tabulate("All cells", shown, cells, anchor=lambda each: each.key)


def raw_table(cells: Collection[MeasuredCell]) -> tuple[list[str], list[list[Raw]]]:
    """The headings, with units, and the rows of the same table with numbers as they were measured.

    A number that is missing is None or NaN. Each ratio of times to the control's is followed by its 95% interval.
    """
    ratios = [f"{name} over control{end}" for name in _TIMED for end in ("", ", low", ", high")]
    headings = ["cell", "status", *_FIELDS, *(_heading(name) for name in _NUMBERS), *ratios, "unstable"]
    return headings, [[*_row(each)] for each in cells]


def _heading(name: str) -> str:
    unit = METRICS[name].unit
    return name if unit == "1" else f"{name} ({unit})"


def _row(each: MeasuredCell) -> Iterator[Raw]:
    yield from (each.key, each.status)
    yield from (getattr(each.cell, name) for name in _FIELDS)
    yield from (each.value(name) for name in _NUMBERS)
    for name in _TIMED:
        ratio = each.ratios.get(name)
        if each.is_control and name in each.samples:
            yield from (1.0, 1.0, 1.0)
        else:
            yield from (ratio.value, ratio.low, ratio.high) if ratio else (math.nan,) * 3
    yield float(each.unstable) if each.samples else None
