"""The answer of the verb compare: what became of each number, in the form that is asked for."""

from collections.abc import Sequence
from pathlib import Path

from bench.answers.notices import notify
from bench.answers.sides import opened_sides
from bench.answers.stdout import binary_stdout
from bench.failure import UsageError
from reports import ReportError, write_compared
from reports.compare import COLUMNS, Compared, Verdict, as_object, compare, markdown, rows, summary
from results.engine.json_text import as_json
from results.read.only import FilterError, check, parse
from results.read.where import Where
from results.store import Store
from results.tools.formats import STREAMED


def print_comparison(
    a: str,
    b: str,
    url: str,
    *,
    form: str,
    only: Sequence[str],
    environment: str,
    every: bool,
    folder: Path | None,
    strict: bool,
) -> int:
    """Compare A with B and print what became of each number; the exit code: 1 if one regressed and `strict` is set."""
    with opened_sides(a, b, url=url, environment=environment) as (before, after):
        compared = compare(before, after, _cells(only, before.store, after.store))
    _print(compared, form, every=every)
    if folder is not None:
        try:
            page = write_compared(compared, folder)
        except ReportError as error:
            raise UsageError(str(error)) from None
        if form:
            notify(f"page: {page}")  # stdout has the answer for another program
        else:
            print(f"page: {page}")
    return 1 if strict and compared.of(Verdict.REGRESSED) else 0


def _cells(only: Sequence[str], *stores: Store) -> Where:
    """The parsed filter; an error if no cell of either database meets it."""
    where = parse(only)
    refusals = [_refusal(store, where) for store in stores] if only else [None]
    if refusals[0] is not None and None not in refusals:
        raise refusals[0]
    return where


def _refusal(store: Store, where: Where) -> FilterError | None:
    try:
        check(store.database, where)
    except FilterError as error:
        return error
    return None


def _print(compared: Compared, form: str, *, every: bool) -> None:
    if not form:
        from bench.answers.comparison import print_compared  # loads rich

        print_compared(compared, every=every)
        return
    with binary_stdout() as out:
        if form == "csv":
            STREAMED["csv"](out, COLUMNS, [list(rows(compared))])
        elif form == "json":
            out.write(f"{as_json(as_object(compared))}\n".encode())
        else:
            out.write((markdown if form == "markdown" else summary)(compared).encode())
