"""The answers of the verbs report and figure: the page, the table of all cells, or a figure, in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.answers.one_cell import again
from bench.answers.reading import chosen, opened
from bench.backends.base import code_of
from bench.failure import UsageError
from bench.source import sources_of
from bench.verbs.parts.shown import Shown
from results.escaping import one_line
from results.format import plural
from results.store import Store

if TYPE_CHECKING:
    from reports import Wanted


def write_report(url: str, folder: Path, shown: Shown) -> None:
    """Write the report of what is to be shown, and print its path."""
    from reports import write

    with _opened(url, shown) as (store, wanted):
        print(f"report: {write(store, folder, wanted)}")


def write_table_file(url: str, file: Path, shown: Shown) -> None:
    """Write the table of all cells to a .tex, .md or .csv file, and print its path."""
    from reports import write_table

    with _opened(url, shown) as (store, wanted):
        count = write_table(store, file, wanted)
        print(f"table: {file}, {plural(count, 'cell')}")


def print_figures(url: str, shown: Shown) -> None:
    """Print the title of each figure of the report, with its name and the names of its panels alone below."""
    from reports import list_figures

    with _opened(url, shown) as (store, wanted):
        figures = list_figures(store, wanted)
    for whole, panels in figures:
        print(one_line(whole[1]))
        print(*(f"    {name}" for name in (whole[0], *panels)), sep="\n")
    if not figures:
        print("no figure: too little is measured")


def write_figure_file(url: str, name: str, file: Path, shown: Shown, *, width: float) -> None:
    """Write a figure to a .pdf, .svg or .png file, and print its path; `width` in inches."""
    from reports import write_figure

    with _opened(url, shown) as (store, wanted):
        write_figure(store, name, file, width=width, wanted=wanted)
        print(f"figure: {file}")


@contextmanager
def _opened(url: str, shown: Shown) -> Iterator[tuple[Store, "Wanted"]]:
    """The open database, and what a report is to show of it. A ReportError becomes a UsageError."""
    from reports import ReportError

    with opened(url) as store:
        try:
            yield store, wanted_of(store, shown)
        except ReportError as error:
            raise UsageError(str(error)) from None


def wanted_of(store: Store, shown: Shown) -> "Wanted":
    """What a report is to show, where the code is as it is here; an error if no cell meets the filter."""
    from reports import Wanted

    return Wanted(
        environment=shown.environment,
        runs=shown.runs,
        sweeps=shown.sweeps,
        baseline=shown.baseline,
        only=chosen(store, shown.only),
        here=sources_of,
        code=code_of,
        again=again,
    )
