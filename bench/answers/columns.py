"""Text in aligned columns for the command line."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

_LEAST = 24  # characters of a wrapped column


def columns(rows: Iterable[Sequence[str]], header: Sequence[str] = (), width: int | None = None) -> str:
    """The rows as lines of text in aligned columns, without blanks at the end of a line.

    width: the last column is wrapped to end within it; by default no line is wrapped or cut, so that lines can be
    searched.
    """
    cells = [tuple(header), *map(tuple, rows)] if header else list(map(tuple, rows))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is not None and widths:
        widths[-1] = max(_LEAST, width - sum(width + 2 for width in widths[:-1]))
        cells = [line for row in cells for line in _wrapped(row, widths[-1])]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def terminal_width() -> int | None:
    """The width of the terminal that stdout is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _wrapped(row: Sequence[str], width: int) -> list[tuple[str, ...]]:
    """The lines of a row whose last cell is wrapped: the other cells stand in the first line."""
    *first, last = row
    below = [""] * len(first)
    lines = textwrap.wrap(last, width, break_on_hyphens=False) or [""]
    return [(*(first if i == 0 else below), line) for i, line in enumerate(lines)]
