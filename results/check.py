"""A database looked through: what is wrong with it or waits to be seen to, and what to do about each."""

from collections.abc import Generator, Iterator
from contextlib import closing

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DatabaseError

from results import rules, runs, structure, summary
from results.chunks import chunks, of_table
from results.location import RECOVER, StoreError
from results.spool import Spool, named
from results.store import Store
from results.tables import summary as summary_table
from results.verified import MOVED

_CHUNK = 5_000  # rows in memory
_MOST = 20  # damaged pages that are named


def findings(store: Store) -> Generator[str]:
    """A line for each: what was found, and what to do."""
    database = store.database
    with database.reading() as connection:
        try:
            if database.is_file:
                yield from _of_file(connection)
            yield from _of_rows(connection)
            yield from _of_summary(connection)
        except DatabaseError as error:
            yield f"it cannot be read to its end ({error.orig}): {RECOVER}"
            return
    yield from _of_runs(store)
    if waiting := Spool(database.url).waiting():
        yield f"{len(waiting)} spooled trial(s) wait in {named(waiting)}: nodebench run takes them in"


def first_finding(store: Store) -> str:
    """The first of them, or what hinders looking; empty if there is none."""
    try:
        with closing(findings(store)) as found:
            return next(found, "")
    except Exception as error:  # noqa: BLE001  (whatever it is, it comes of what is in the database)
        return f"{type(error).__name__}: {error}".partition("\n")[0]


def _of_file(connection: Connection) -> Iterator[str]:
    said = connection.scalars(text(f"pragma integrity_check({_MOST})")).all()
    if said != ["ok"]:
        yield f"the file is damaged ({'; '.join(said)}): {RECOVER}"
    if acting := structure.acting(connection):
        yield f"it has {acting}, and a database of ours has plain tables: drop it"
    if name := structure.different(connection):
        yield f"its table {name} is not as nodebench makes it: merge what is sound of it into a new database"
    broken = text('select "table", parent, count(*) from pragma_foreign_key_check group by 1, 2')
    for table, parent, count in connection.execute(broken):
        yield f"{count} row(s) of {table} belong to rows of {parent} that are missing: {RECOVER}"


def _of_rows(connection: Connection) -> Iterator[str]:
    """The first row of each table that breaks a rule."""
    for table in MOVED:
        try:
            with closing(chunks(connection, of_table(table), _CHUNK)) as parts:
                for part in parts:
                    rules.check(table, part)
        except StoreError as error:
            yield f"{error}: remove it with nodebench db forget, or mend it in SQL"
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            yield f"{table.name} has a value that cannot be read ({str(error).partition(chr(10))[0]}): mend it in SQL"


def _of_summary(connection: Connection) -> Iterator[str]:
    kept = select(*summary_table.columns)
    made = summary.made()
    wrong = sum(
        connection.scalar(select(func.count()).select_from(one.except_(other).subquery())) or 0
        for one, other in ((kept, made), (made, kept))
    )
    if wrong:
        yield "summary does not say what trials, metrics and samples say: nodebench db rebuild"


def _of_runs(store: Store) -> Iterator[str]:
    dead = [line for line in runs.listed(store) if line.dead]
    if dead:
        ids = ", ".join(line.id[:8] for line in dead)
        yield f"{len(dead)} run(s) are written as running, and their processes have ended ({ids}): nodebench db close"
