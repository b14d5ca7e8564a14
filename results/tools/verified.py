"""The check of a whole database: its pages, tables, foreign keys, and every row by the rules of its table."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import NamedTuple

from sqlalchemy import Connection, Table, text

from results.engine.location import RECOVER, StoreError
from results.schema import rules, structure
from results.schema.tables import metadata
from results.tools.chunks import chunks, of_table

# All tables that are checked and merged: without version, leases, and `summary`, which is derived from others.
MOVED = [table for table in metadata.sorted_tables if table.name not in ("nodebench", "lease", "summary")]
_CHUNK = 5_000  # rows in memory
_MOST = 20  # damaged pages that are named


class Fault(NamedTuple):
    """A fault of a database, with its remedy."""

    what: str
    remedy: str


def verify(connection: Connection, place: str) -> None:
    """Raise a StoreError that names the first fault of the database at this place."""
    with closing(faults(connection)) as found:
        first = next(found, None)
    if first:
        raise StoreError(f"{place}: {first.what}: nothing was taken; nodebench db check says what to do there")


def faults(connection: Connection) -> Generator[Fault]:
    """The faults of a database, with only the first row of each table that breaks a rule."""
    if connection.dialect.name == "sqlite":
        yield from _page_faults(connection)
    if found := structure.unsafe_object(connection):
        yield Fault(f"it has {found}, and a database of ours has plain tables", "drop it")
    if name := structure.different(connection):
        yield Fault(f"its table {name} is not as nodebench makes it", "merge what is sound of it into a new database")
    if connection.dialect.name == "sqlite":
        yield from _foreign_key_faults(connection)
    for table in MOVED:
        yield from _row_faults(connection, table)


def _page_faults(connection: Connection) -> Iterator[Fault]:
    said = connection.scalars(text(f"pragma integrity_check({_MOST})")).all()
    if said != ["ok"]:
        yield Fault(f"the file is damaged ({' '.join('; '.join(said).split())})", RECOVER)


def _foreign_key_faults(connection: Connection) -> Iterator[Fault]:
    broken = text('select "table", parent, count(*) from pragma_foreign_key_check group by 1, 2')
    for table, parent, count in connection.execute(broken).all():
        yield Fault(f"{count} row(s) of {table} belong to rows of {parent} that are missing", RECOVER)


def _row_faults(connection: Connection, table: Table) -> Iterator[Fault]:
    try:
        with closing(chunks(connection, of_table(table), _CHUNK)) as parts:
            for part in parts:
                rules.check(table, part)
    except StoreError as error:
        yield Fault(str(error), "remove it with nodebench db forget, or mend it in SQL")
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        said = str(error).partition("\n")[0]
        yield Fault(f"its table {table.name} has a value that cannot be read ({said})", "mend it in SQL")
