"""The answers of the verbs that only read the database, loaded without torch, so that they are quick."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from bench.answers.columns import columns
from bench.answers.notices import notify
from bench.backends.base import code_of
from bench.failure import InfrastructureError, UsageError
from bench.source import source_of, sources_of
from results.format import date
from results.read.code import Code
from results.read.only import FilterError, check, found, parse
from results.read.where import Where
from results.records import Cell, Source
from results.store import Store, StoreError
from results.tools.annotations import Note, notes_of_cell

if TYPE_CHECKING:
    from pandas import DataFrame


def write_report(
    url: str,
    folder: Path,
    *,
    environment: str = "",
    runs: Sequence[str] = (),
    sweeps: Sequence[str] = (),
    baseline: str = "",
    only: Sequence[str] = (),
) -> None:
    """Write the report of the chosen trials, and print its path."""
    from reports import ReportError, Wanted, write

    with opened(url) as store:
        try:
            wanted = Wanted(
                environment=environment,
                runs=runs,
                sweeps=sweeps,
                baseline=baseline,
                only=chosen(store, only),
                here=sources_of,
                code=code_of,
            )
            print(f"report: {write(store, folder, wanted)}")
        except ReportError as error:
            raise UsageError(str(error)) from None


def print_cell(key: str, url: str, *, of: str = "") -> None:
    """Print a cell's fields and notes, and its trials with their metrics and samples.

    of: what the trials are of, as `nodebench compare` takes it; the newest trials by default.
    """
    from bench.answers.sides import opened_sides

    with ExitStack() as stack:
        side = stack.enter_context(opened_sides(of, url=url))[0] if of else None
        store = side.store if side else stack.enter_context(opened(url))
        cell = store.cell(key)
        if cell is None:
            raise UsageError(
                f"no cell whose key begins with {key!r} in {store.database.place}: nodebench plan SWEEP prints the keys"
            )
        print(f"{cell.key}  {cell.label}\n")
        print(columns(((name, str(value)) for name, value in asdict(cell).items())))
        if notes := notes_of_cell(store, cell.key):
            print(f"\nnotes\n{columns(map(_note_row, notes))}")
        of_cell = Where(cell_key=cell.key)
        of_cell = side.on(of_cell) if side else replace(of_cell, prefer=code_that_counts(store))
        trials = store.trials(of_cell)
        metrics, samples = store.metrics(of_cell), store.samples(of_cell)
        for title, frame in (
            ("trials", trials.drop(columns=["log_tail", "source", "series"]).assign(code=_codes(cell, trials))),
            ("medians", _medians(metrics, samples)),
            ("metrics", metrics),
            ("samples", samples),
        ):
            shown = frame.drop(columns=[name for name in _REPEATED if name in frame])
            print(f"\n{title}")
            print(columns(shown.map(str).to_numpy().tolist(), list(shown)))
        for trial in trials[trials["log_tail"].str.strip() != ""].itertuples():
            print(f"\nprinted by {trial.kind} {trial.process_index} of run {trial.run_id[:8]}")
            print(indent(trial.log_tail.rstrip(), "    "))


def _medians(*frames: "DataFrame") -> "DataFrame":
    """The number that pages and comparisons show of each metric and series: the median, and of how many values."""
    import pandas

    from results.statistics.ratio import median

    every = pandas.concat([frame[frame["kind"] != "twin"] for frame in frames])
    return every.groupby("name", sort=False)["value"].agg(median=median, values="count").reset_index()


def print_cells(url: str, *, only: Sequence[str]) -> None:
    """Print a line for each cell: the number of its trials, and the statuses of those that failed."""
    with opened(url) as store:
        where = chosen(store, only)
        cells = found(store.database, where)
        trials = store.trials(replace(where, prefer=code_that_counts(store)))
        counts = trials["cell_key"].value_counts()
        failed = trials[trials["status"] != "ok"].groupby("cell_key")["status"].unique()
        rows = (
            (cell.key, cell.label, str(counts.get(cell.key, 0)), ", ".join(sorted(failed.get(cell.key, ()))))
            for cell in cells
        )
        print(columns(rows, ("key", "cell", "trials", "failed")))


def _codes(cell: Cell, trials: "DataFrame") -> list[str]:
    """For each trial, in words: whether it measured the code as it is here now."""
    here = [source_of(cell, kind) for kind in trials["kind"]]
    return [_code(source, now) for source, now in zip(trials["source"].fillna(""), here, strict=True)]


def _code(measured: str, here: Source) -> str:
    if measured == here.key:
        return "as it is"
    if any(fact.endswith(" none") for fact in here.facts.values()):
        return "not here"  # a file that was not named with --use, or a library that is not installed
    return "changed since" if measured else "not known"


_REPEATED = ("cell_key", "run_id", "fingerprint", "started_at")  # the same in each row, or for joins


def _note_row(note: Note) -> tuple[str, ...]:
    return date(note.created_at), note.author, f"run {note.run_id[:8]}" if note.run_id else "", note.text


def code_that_counts(store: Store) -> list[str]:
    """The keys of the code whose trials the report shows: as it is here, or as it was measured last, by environment."""
    here = [source.facts for source in sources_of(store.cells_by_code())]
    measured = (store.sources(fingerprint) for fingerprint in store.fingerprints())
    return sorted({key for sources in measured for key in Code.of(sources, here).sources})


def chosen(store: Store, only: Sequence[str]) -> Where:
    """The parsed filter; an error if no cell of the database meets it."""
    where = parse(only)
    if only:
        check(store.database, where)
    return where


@contextmanager
def opened(url: str, *, write: bool = False, create: bool = False, as_it_is: bool = False) -> Iterator[Store]:
    """An open store whose errors become UsageErrors, and whose notices are printed when it is opened and closed."""
    with explained():
        store = Store.open(url, write=write, create=create, as_it_is=as_it_is)
        at_opening = len(store.notices)
        notify(*store.notices)
        try:
            with store, _sound(store):
                yield store
        finally:
            notify(*store.notices[at_opening:])


@contextmanager
def _sound(store: Store) -> Iterator[None]:
    """A body whose unexpected error becomes a UsageError that names a fault of the database, if one is found.

    Another program may have written into the database. If the database is sound, the error is a mistake of ours.
    """
    try:
        yield
    except (UsageError, InfrastructureError, StoreError, FilterError, OSError):
        raise
    except Exception as error:
        from results.tools.check import first_fault

        if not (fault := first_fault(store)):
            raise
        raise UsageError(
            f"{store.database.place} has what nodebench did not write ({fault}): nodebench db check tells all of it"
        ) from error


@contextmanager
def explained() -> Iterator[None]:
    """A body whose StoreErrors and FilterErrors become UsageErrors, because the user can mend them."""
    try:
        yield
    except (StoreError, FilterError) as error:
        raise UsageError(str(error)) from error
