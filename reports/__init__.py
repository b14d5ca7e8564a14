"""HTML, tables and plots from the database. Importing this package loads the plotting libraries."""

from reports.page import ReportError, Wanted, write

__all__ = ["ReportError", "Wanted", "write"]
