"""Single pieces of a report in files: a figure, or the table of all cells."""

from dataclasses import replace
from pathlib import Path

from reports.files import suffix_of, written
from reports.tables import FORMATS
from reports.views.named_figures import figure_named, named_figures
from reports.views.selection import select
from reports.views.wanted import BY_DEFAULT, ReportError, Wanted
from results.read.where import Where
from results.store import Store


def list_figures(store: Store, wanted: Wanted = BY_DEFAULT) -> list[tuple[tuple[str, str], list[str]]]:
    """The figures that a report on `wanted` has: the name and the title of each, and the names of its panels alone."""
    listed: list[tuple[tuple[str, str], list[str]]] = []
    for each in named_figures(store, wanted):
        if each.alone:
            listed[-1][1].append(each.name)
        else:
            listed.append(((each.name, each.title), []))
    return listed


def write_figure(store: Store, name: str, path: Path, *, width: float, wanted: Wanted = BY_DEFAULT) -> None:
    """Write the figure of this name to a .pdf, .svg or .png file; `width` in inches. A ReportError if it is refused."""
    from reports.figure_files import checked, save  # loads matplotlib

    checked(path, width)
    save(figure_named(named_figures(store, wanted), name), path, width=width)


def write_table(store: Store, path: Path, wanted: Wanted = BY_DEFAULT) -> int:
    """Write the table of all cells to a .tex, .md or .csv file; the number of rows. A ReportError if it is refused.

    The cells that `wanted.only` leaves out are read too: among them are the controls that the others are compared with.
    """
    make = FORMATS[suffix_of(path, FORMATS)]
    kept = set(store.cells(wanted.only)["key"])
    every = select(store, replace(wanted, only=Where())).cells
    cells = tuple(each for key, each in every.items() if key in kept)
    if not cells:
        raise ReportError("no cell of these runs meets --only: leave it out, or pass other values")
    with written(path, "pass another file with --table") as draft:
        draft.write_bytes(make(cells))
    return len(cells)
