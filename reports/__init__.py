"""HTML, tables and plots from the database."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.page import ReportError, Wanted, write

__all__ = ["ReportError", "Wanted", "write"]


def __getattr__(name: str) -> Any:
    """The page's names when they are asked for: who derives a number waits for no plotting library (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reports import page

    return getattr(page, name)
