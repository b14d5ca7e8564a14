"""Every cell in one table: the row that the page's links and a cell's key lead to."""

from collections.abc import Collection

from reports.measured import MeasuredCell
from reports.views.parts import columns
from reports.views.parts.table import Table, tabulate


def summary_table(cells: Collection[MeasuredCell]) -> Table:
    """One row a cell, in the sweep's order; the row's anchor is the key."""
    shown = (columns.KEY, columns.STATUS, *columns.AXES, *columns.NUMBERS)
    return tabulate("All cells", shown, cells, anchor=lambda each: each.key)
