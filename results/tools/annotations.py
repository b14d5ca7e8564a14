"""Notes on runs and cells, for what numbers do not tell."""

import getpass
import time
import uuid
from dataclasses import dataclass

from sqlalchemy import or_, select

from results.engine.location import StoreError
from results.read import lookup
from results.schema.tables import annotation, trial
from results.store import Store
from results.write import recording


@dataclass(frozen=True)
class Note:
    """A note that somebody left."""

    text: str
    author: str  # may be empty
    created_at: float  # seconds since the epoch
    run_id: str | None  # what it is about: a run, a cell, or a cell in a run
    cell_key: str | None


def annotate(store: Store, key: str, text: str, *, author: str | None = None) -> str:
    """Leave a note on the run or the cell whose key begins with `key`; its name, "run KEY" or "cell KEY"."""
    if not text.strip():
        raise StoreError("the note is empty: pass what is to be said")
    with store.database.writing() as connection:
        kind, found = lookup.run_or_cell(connection, key)
        about = {"run_id": found if kind == "run" else None, "cell_key": found if kind == "cell" else None}
        said = {"id": uuid.uuid4().hex, "text": text, "author": _user() if author is None else author}
        recording.insert_new(connection, annotation, [{**said, **about, "created_at": time.time()}])
    return f"{kind} {found}"


def notes_of_cell(store: Store, cell_key: str) -> list[Note]:
    """The notes on a cell and on the runs that measured it, oldest first."""
    measuring = select(trial.c.run_id).where(trial.c.cell_key == cell_key)
    on_run = annotation.c.cell_key.is_(None) & annotation.c.run_id.in_(measuring)
    columns = (annotation.c[name] for name in ("text", "author", "created_at", "run_id", "cell_key"))
    query = select(*columns).where(or_(annotation.c.cell_key == cell_key, on_run))
    with store.database.reading() as connection:
        return [Note(*row) for row in connection.execute(query.order_by(annotation.c.created_at, annotation.c.id))]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return ""
