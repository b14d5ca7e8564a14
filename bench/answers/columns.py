"""Text in columns: what the command line prints, never cut, whatever the terminal's width."""

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """The rows as lines whose columns are aligned, the last one as long as it is."""
    lines = [tuple(header), *map(tuple, rows)] if header else list(map(tuple, rows))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
