"""Comparisons of two sides: what became better, what became worse, what cannot be told."""

from reports.compare.as_markdown import markdown, summary
from reports.compare.comparing import compare
from reports.compare.lines import change, floor, heading, opening, ratio, reasons, resolution
from reports.compare.table import COLUMNS, as_object, rows
from reports.compare.verdicts import ORDER, Compared, Row, SideView, Verdict

__all__ = [
    "COLUMNS", "ORDER", "Compared", "Row", "SideView", "Verdict", "as_object", "change", "compare", "floor",
    "heading", "markdown", "opening", "ratio", "reasons", "resolution", "rows", "summary",
]  # fmt: skip
