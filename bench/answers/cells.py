"""The answer of the verb show: a cell on one screen, or a table of several cells."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import MISSING, fields
from typing import Any

from bench.answers.columns import columns, wrapped
from bench.answers.one_cell import print_cell, print_samples
from bench.answers.reading import chosen, code_that_counts, opened
from bench.failure import UsageError
from results.escaping import one_line
from results.format import plural
from results.read.only import FilterError, found
from results.read.where import KINDS, Where
from results.records import Cell
from results.store import Store

_SHORT_KEY = 8  # digits of a key that are shown
_DEFAULTS = {each.name: each.default for each in fields(Cell) if each.default is not MISSING}


def print_cells(
    url: str,
    asked: Sequence[str],
    *,
    of: str = "",
    environment: str = "",
    samples: bool = False,
    use: Sequence[str] = (),
) -> None:
    """Print the cell, or the table of the cells, that a key or axes choose; without any, the table of all cells.

    asked: a key or its start, or conditions as of `--only`. of: what the trials of one cell are of, as `nodebench
    compare` takes it; the newest trials by default. samples: with a cell's trials, metrics and raw samples.
    """
    from bench.answers.sides import opened_sides
    from reports import ReportError

    with ExitStack() as stack:
        side = stack.enter_context(opened_sides(of, url=url, environment=environment))[0] if of else None
        store = side.store if side else stack.enter_context(opened(url))
        among = side.on(Where()) if side else Where()
        cells = _asked_for(store, asked)
        if of and len(cells) != 1:
            raise UsageError(f"--of {of} is for one cell, and these are {len(cells)}: give a key or more axes")
        if samples and len(cells) != 1:
            raise UsageError(f"--samples prints those of one cell, and these are {len(cells)}: give a key or more axes")
        try:
            if len(cells) == 1:
                conditions = [condition(name, value) for name, value in axes(cells[0]).items()]
                fingerprint = print_cell(
                    store, cells[0], conditions, url, environment, use, among=among, hint=not samples
                )
            else:
                _print_table(store, cells, asked, environment)
        except ReportError as error:
            raise UsageError(str(error)) from None
        if samples:
            print_samples(store, cells[0], fingerprint, among)


def _asked_for(store: Store, asked: Sequence[str]) -> list[Cell]:
    """The cells that are asked for; an error that names the known values if there is none."""
    if len(asked) == 1 and "=" not in asked[0]:
        cell = store.cell(asked[0])
        if cell is None:
            raise UsageError(
                f"no cell whose key begins with {asked[0]!r} in {store.database.place}: nodebench plan SWEEP prints "
                "the keys, and axes are written as in solver=dopri5"
            )
        return [cell]
    try:
        return found(store.database, chosen(store, asked))
    except FilterError as error:
        raise UsageError(str(error).removeprefix("only: ")) from error


def axes(cell: Cell) -> dict[str, Any]:
    """The values of the cell's axes and options by name, without those at their defaults."""
    named = {each.name: getattr(cell, each.name) for each in fields(Cell) if each.name != "options"}
    named = {name: value for name, value in named.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    return named | cell.option_values


def _print_table(store: Store, cells: Sequence[Cell], asked: Sequence[str], environment: str) -> None:
    """Print a line for each cell: its numbers, and the axes by which the cells differ. What they share comes first."""
    from reports import cells_table

    where = chosen(store, asked)
    fingerprint, table = cells_table(store, where, environment=environment, prefer=code_that_counts(store))
    shared, differing = _split({cell.key: axes(cell) for cell in cells})
    place = f"environment {fingerprint[:_SHORT_KEY]}" if fingerprint else "nothing measured yet"
    print(wrapped(f"{plural(len(cells), 'cell')}, {place}{'; all ' if shared else ''}{shared}"))
    rows = (
        (row.anchor[:_SHORT_KEY], *(value.text for value in row.values), differing[row.anchor]) for row in table.rows
    )
    headings = (one_line(heading.text) for heading in table.headings)
    print(f"\n{columns(rows, ('key', *headings, 'cell'))}")


def _split(named: Mapping[str, Mapping[str, Any]]) -> tuple[str, dict[str, str]]:
    """The axes that all cells share, as a text, and by key those of each cell that differ."""
    first, *others = named.values()
    shared = {name for name, value in first.items() if all(name in one and one[name] == value for one in others)}
    said = " ".join(spelt(name, value) for name, value in first.items() if name in shared)
    differing = {
        key: " ".join(spelt(name, value) for name, value in of_cell.items() if name not in shared)
        for key, of_cell in named.items()
    }
    return said, differing


_SHORT_NAMES = {"horizon": "T", "n_outputs": "outputs", "batch_size": "batch"}
_NAMELESS = ("problem", "backend", "solver", "gradient", "dtype", "device")


def condition(name: str, value: Any) -> str:
    """An axis and its value as a condition that chooses the cell, as `--only` reads it."""
    if isinstance(value, str) and (name not in KINDS or re.search(r"[\s,'\"]", value)):
        mark = '"' if "'" in value else "'"
        return f"{name}={mark}{value}{mark}"
    return f"{name}={json.dumps(value) if isinstance(value, bool) else value}"


def spelt(name: str, value: Any) -> str:
    """An axis and its value, as a cell's label has them."""
    if name in _NAMELESS:
        return one_line(value)
    return one_line(f"{_SHORT_NAMES.get(name, name)}={f'{value:g}' if isinstance(value, float) else value}")
