"""The table of all cells, whose rows are the targets of the page's links."""

from collections.abc import Collection

from reports.measured import MeasuredCell
from reports.views.parts import columns
from reports.views.parts.table import Table, tabulate


def summary_table(cells: Collection[MeasuredCell]) -> Table:
    """The table with a row for each cell, in the sweep's order; a row's anchor is the cell's key."""
    shown = (columns.KEY, columns.STATUS, *columns.AXES, *columns.NUMBERS)
    return tabulate("All cells", shown, cells, anchor=lambda each: each.key)
