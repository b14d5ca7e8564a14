"""HTML, tables and plots from the database. Loads the plotting libraries: import it where a page is written."""

from reports.page import ReportError, Wanted, write

__all__ = ["ReportError", "Wanted", "write"]
