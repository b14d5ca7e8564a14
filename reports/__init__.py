"""HTML, tables and plots from the database."""

from reports.page import ReportError, write

__all__ = ["ReportError", "write"]
