"""Text in aligned columns for the command line."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

_LEAST = 24  # characters of a wrapped column
_BELOW = " " * 4  # before what has no room in its row's first line


def columns(rows: Iterable[Sequence[str]], header: Sequence[str] = (), *, cut: bool = False) -> str:
    """The rows as lines of text in aligned columns, fitted to the terminal that stdout is, if it is one.

    cut: the last column is shortened there instead of wrapped. Where stdout is no terminal, no line is wrapped or cut,
    so that lines can be searched.
    """
    return aligned(rows, header, terminal_width(), cut=cut)


def terminal_width() -> int | None:
    """The number of characters in a line of the terminal that stdout is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(said: str) -> str:
    """A text in lines that fit the terminal, if stdout is one; the further ones are indented."""
    width = terminal_width()
    return textwrap.fill(said, width, subsequent_indent=_BELOW, break_on_hyphens=False) if width else said


def shortened(said: str, width: int) -> str:
    """The text, or so much of it as fits the width with an ellipsis."""
    return said if len(said) <= width else f"{said[: max(0, width - 1)].rstrip()}…"


def fitted(line: str) -> str:
    """The line, shortened where stdout is a terminal that it does not fit."""
    width = terminal_width()
    return shortened(line, width) if width else line


def aligned(
    rows: Iterable[Sequence[str]], header: Sequence[str] = (), width: int | None = None, *, cut: bool = False
) -> str:
    """The rows as lines of text in aligned columns, without blanks at the end of a line.

    width: the last column is wrapped, or with `cut` shortened, to end within it. Where that would leave the column too
    little room, the widest columns stand below their row's first line, each wrapped by itself.
    """
    cells = [tuple(header), *map(tuple, rows)] if header else list(map(tuple, rows))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if width is None or not widths:
        return "\n".join(_line(row, widths) for row in cells)
    room = width - sum(width + 2 for width in widths[:-1])
    if room >= min(_LEAST, widths[-1]) or len(widths) == 1:
        widths[-1] = max(_LEAST, room)
        if cut:
            return "\n".join(_line((*row[:-1], shortened(row[-1], widths[-1])), widths) for row in cells)
        return "\n".join(_line(row, widths) for cell in cells for row in _wrapped_row(cell, widths[-1]))
    return "\n".join(line for row in cells for line in _folded(row, widths, width))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _wrapped_row(row: Sequence[str], width: int) -> list[tuple[str, ...]]:
    """The lines of a row whose last cell is wrapped: the other cells stand in the first line."""
    *first, last = row
    below = [""] * len(first)
    lines = textwrap.wrap(last, width, break_on_hyphens=False) or [""]
    return [(*(first if i == 0 else below), line) for i, line in enumerate(lines)]


def _folded(row: Sequence[str], widths: Sequence[int], width: int) -> Iterator[str]:
    """A row as a line of its narrower columns, as many as fit into the width, and lines of its wider ones below."""
    beside = sorted(range(len(row)), key=lambda i: widths[i])
    while len(beside) > 1 and sum(widths[i] + 2 for i in beside) - 2 > width:
        beside.pop()
    beside.sort()
    yield _line([row[i] for i in beside], [widths[i] for i in beside])
    for i in sorted({*range(len(row))} - {*beside}):
        yield from textwrap.wrap(
            row[i], max(_LEAST, width), initial_indent=_BELOW, subsequent_indent=_BELOW, break_on_hyphens=False
        )
