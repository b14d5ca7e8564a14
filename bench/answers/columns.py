"""Text in aligned columns for the command line, never cut to the terminal's width."""

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """The rows as lines of text in aligned columns, without blanks at the end of a line."""
    lines = [tuple(header), *map(tuple, rows)] if header else list(map(tuple, rows))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
