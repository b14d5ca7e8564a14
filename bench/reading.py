"""The verbs that only read the database: loaded without torch, so that they answer soon."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.columns import columns
from bench.failure import UsageError
from results.annotations import Note, notes_of_cell
from results.store import Store, StoreError
from results.where import Where


def write_report(url: str, folder: Path) -> None:
    """Write the page and say where it is."""
    from reports import ReportError, write

    with opened(url) as store:
        try:
            print(f"report: {write(store, folder)}")
        except ReportError as error:
            raise UsageError(str(error)) from None


def print_cell(key: str, url: str) -> None:
    """The cell's fields, its trials, and what each measured."""
    with opened(url) as store:
        cell = store.cell(key)
        if cell is None:
            raise UsageError(f"no cell whose key begins with {key!r} in {url}: nodebench plan SWEEP prints the keys")
        print(f"{cell.key}  {cell.label}\n")
        print(columns(((name, str(value)) for name, value in asdict(cell).items())))
        if notes := notes_of_cell(store, cell.key):
            print(f"\nnotes\n{columns(map(_note_row, notes))}")
        for title, frame in (
            ("trials", store.trials(Where(cell_key=[cell.key]))),
            ("metrics", store.metrics(Where(cell_key=[cell.key]))),
            ("samples", store.samples(Where(cell_key=[cell.key]))),
        ):
            shown = frame.drop(columns=[name for name in _REPEATED if name in frame])
            print(f"\n{title}")
            print(columns(shown.map(str).to_numpy().tolist(), list(shown)))


_REPEATED = ("cell_key", "trial_id", "run_id", "fingerprint", "started_at")  # the same in each row, or for joins


def _note_row(note: Note) -> tuple[str, ...]:
    day = time.strftime("%Y-%m-%d", time.localtime(note.created_at))
    return day, note.author, f"run {note.run_id[:8]}" if note.run_id else "", note.text


@contextmanager
def opened(url: str, *, create: bool = False) -> Iterator[Store]:
    """The store, whose errors are the user's."""
    try:
        with Store.open(url, create=create) as store:
            for notice in store.notices:
                print(f"nodebench: {notice}", file=sys.stderr)
            yield store
    except StoreError as error:
        raise UsageError(str(error)) from error
