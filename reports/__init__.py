"""HTML, tables, figures and answers from the database. matplotlib is loaded when a figure is drawn, and not before."""

from reports.page import write, write_compared, write_history
from reports.single import list_figures, write_figure, write_table
from reports.views.answers import answers
from reports.views.cells import CellView, cell_view, cells_table
from reports.views.wanted import ReportError, Wanted

__all__ = [
    "CellView",
    "ReportError",
    "Wanted",
    "answers",
    "cell_view",
    "cells_table",
    "list_figures",
    "write",
    "write_compared",
    "write_figure",
    "write_history",
    "write_table",
]
