"""The check of a database, with a remedy for each fault."""

import uuid
from collections.abc import Generator, Iterator
from contextlib import closing

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from results.engine.location import RECOVER
from results.schema import summary, views
from results.schema import versions as schema
from results.store import Store
from results.tools import runs
from results.tools.verified import faults
from results.write.spool import Spool, named


def findings(store: Store) -> Generator[str]:
    """The findings, a line each: what was found, and what to do."""
    database = store.database
    with database.reading() as connection:
        try:
            for fault in faults(connection):
                yield f"{fault.what}: {fault.remedy}"
            yield from _summary_findings(connection)
        except DatabaseError as error:
            yield f"it cannot be read to its end ({error.orig}): {RECOVER}"
            return
    if not schema.identity(database):
        new = f"update nodebench set identity = '{uuid.uuid4().hex}'"
        yield f"it has no identity, by which what is spooled for it would go: mend it in SQL, {new}"
    yield from _run_findings(store)
    if waiting := Spool.of(database).waiting():
        yield f"{len(waiting)} spooled trial(s) wait in {named(waiting)}: nodebench run takes them in"


def first_fault(store: Store) -> str:
    """The first fault of the database, or the error that ended the search; empty if there is none."""
    try:
        with store.database.reading() as connection, closing(faults(connection)) as found:
            return next((fault.what for fault in found), "")
    except Exception as error:  # noqa: BLE001  (any error is caused by the content of the database)
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def _summary_findings(connection: Connection) -> Iterator[str]:
    if summary.differs(connection):
        yield "summary does not say what trials, metrics and samples say: nodebench db rebuild"
    if name := views.different(connection):
        yield f"the view {name} is not as nodebench makes it: nodebench db rebuild"


def _run_findings(store: Store) -> Iterator[str]:
    dead = [line for line in runs.listed(store) if line.dead]
    if dead:
        ids = ", ".join(line.id[:8] for line in dead)
        yield f"{len(dead)} run(s) are written as running, and their processes have ended ({ids}): nodebench db close"
