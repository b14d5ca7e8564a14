"""HTML, tables and plots from the database. The plotting libraries are loaded with the first figure that is drawn."""

from reports.page import ReportError, Wanted, write, write_history

__all__ = ["ReportError", "Wanted", "write", "write_history"]
