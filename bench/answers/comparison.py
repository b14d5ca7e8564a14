"""A comparison in the terminal, by rich: counts first, then what regressed and what improved."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.compare import ORDER, Compared, Row, Verdict, change, heading, opening, ratio, reasons, resolution
from results import format as text
from results.escaping import one_line

_STYLES = {Verdict.REGRESSED: "bold red", Verdict.IMPROVED: "bold green", Verdict.UNKNOWN: "bold yellow"}
_SHOWN = (Verdict.REGRESSED, Verdict.IMPROVED)
_KEY = 8  # digits of a key that are shown
_UNLIMITED = 10_000  # characters of a line where stdout is no terminal: no line is wrapped, so that it can be searched


def print_compared(compared: Compared, *, every: bool) -> None:
    """Print the comparison: the rows of every verdict, or those of numbers that regressed or improved."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    # Nothing is markup: a text from the database may have brackets.
    console = Console(file=sys.stdout, width=width or _UNLIMITED, markup=False, highlight=False, emoji=False)
    for line, style in _head(compared, width):
        console.print(Text(line, style), soft_wrap=True)
    console.print(_counts(compared))
    for line, style in _body(compared, width, every=every):
        console.print(Text(line, style), soft_wrap=True)


Lines = Iterator[tuple[str, str]]  # each with its style


def _head(compared: Compared, width: int | None) -> Lines:
    for line in _wrapped(opening(compared), width):
        yield line, "bold"
    for notice in compared.notices:
        for line in _wrapped(notice, width):
            yield line, "yellow"
    for name, (one, other) in compared.environments.items():
        for line in _wrapped(f"{name}: {one or 'none'} / {other or 'none'}", width, indent=2):
            yield line, ""
    yield "", ""


def _counts(compared: Compared) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    for name in ("", "cells", "numbers"):
        table.add_column(name, justify="right" if name else "left")
    for verdict, (cells, rows) in compared.counts.items():
        style = _STYLES.get(verdict, "") if rows else "dim"
        numbers = "" if verdict in (Verdict.NEW, Verdict.GONE) else text.count(rows)
        table.add_row(Text(verdict, style), text.count(cells), numbers)
    return table


def _body(compared: Compared, width: int | None, *, every: bool) -> Lines:
    yield "", ""
    for count, reason in reasons(compared.of(Verdict.UNKNOWN)):
        for line in _wrapped(f"unknown: {text.count(count)} {reason}", width, indent=2):
            yield line, ""
    for line in _wrapped(resolution(compared), width):
        yield line, ""
    for verdict in ORDER if every else _SHOWN:
        if rows := compared.of(verdict):
            yield "", ""
            yield heading(verdict, compared), _STYLES.get(verdict, "bold")
            yield from _listed(rows, width)
    yield "", ""
    for letter, side in (("A", compared.before), ("B", compared.after)):
        for line in _wrapped(f"{letter}: {side.label}: {', '.join(side.facts)}", width, indent=3):
            yield line, ""
        yield f"   {one_line(side.show)}", "dim"  # not wrapped, so that it can be copied


def _listed(rows: Sequence[Row], width: int | None) -> Lines:
    """Each cell with its rows below, in the order of the first one of each."""
    names, changes = (max(map(len, column)) for column in ((row.name for row in rows), map(change, rows)))
    place = {key: index for index, key in reversed(list(enumerate(row.cell.key for row in rows)))}
    for key, of_cell in groupby(sorted(rows, key=lambda row: place[row.cell.key]), lambda row: row.cell.key):
        found = list(of_cell)
        for line in _wrapped(f"{key[:_KEY]}  {found[0].cell.label}", width, indent=_KEY + 2):
            yield line, ""
        for row in found:
            if row.name:
                beside = ratio(row) if row.tells else row.reason
                yield f"    {row.name:<{names}}  {change(row):<{changes}}  {beside}".rstrip(), ""
            for said in (row.reason, row.detail) if row.tells else ():
                for line in _wrapped(f"      {said}", width, indent=6) if said else ():
                    yield line, "dim"


def _wrapped(said: str, width: int | None, *, indent: int = 0) -> list[str]:
    """A text of any origin as printable lines within the terminal's width; one line where stdout is no terminal."""
    line = one_line(said)
    if width is None:
        return [line] if line else []
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_on_hyphens=False)
