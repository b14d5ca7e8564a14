"""The schema's version in a database: made in an empty one, known in ours, and refused in a foreign one."""

import re
import uuid

from sqlalchemy import Connection, column, insert, inspect, select, table, update

from results.engine.database import Database
from results.engine.location import StoreError
from results.schema import structure, views
from results.schema.tables import SCHEMA_VERSION, SUMMARY_COLUMNS, metadata, nodebench, summary

_IDENTITY = re.compile("[0-9a-f]{32}")  # it is a part of a path
_DIGITS = re.compile("[0-9]{4}")
_FIRST = table(nodebench.name, column("schema_version"))  # how version 1 said it


def known(database: Database, *, create: bool = False) -> str | None:
    """The schema's version in a database of ours; None for an empty database if `create`. Any other is a StoreError."""
    with database.reading() as connection:
        if odd := structure.unplain(connection, triggers=False):
            raise StoreError(f"{database.place} has {odd}, and our tables are plain ones: pass --db with another path")
        found = version(connection)
    if found is None:
        if not create:
            raise StoreError(f"{database.place} is empty: run `nodebench run` first or pass --db with another path")
        return None
    if not found.isdecimal():
        raise StoreError(f"{database.place} is a foreign database ({found}): pass --db with another path")
    if int(found) > int(SCHEMA_VERSION):
        raise StoreError(
            f"{database.place} has schema version {int(found)}, this nodebench knows {int(SCHEMA_VERSION)}: "
            "update nodebench or pass --db with another path"
        )
    return found


def version(connection: Connection) -> str | None:
    """The schema's version as four digits; None for an empty database; for a foreign one, a sentence on what it is."""
    inspector = inspect(connection)
    tables = inspector.get_table_names()
    if not tables:
        return None
    if nodebench.name not in tables:
        return f"it has a table {tables[0]!r} and none named {nodebench.name!r}"
    columns = {found["name"] for found in inspector.get_columns(nodebench.name)}
    if "schema_version" in columns:
        number = connection.scalar(select(_FIRST.c.schema_version))
        return f"{number:04d}" if isinstance(number, int) else f"its version is {str(number)[:20]!r}, and no number"
    if "version_num" in columns:
        found = str(connection.scalar(select(nodebench.c.version_num)))
        return found if _DIGITS.fullmatch(found) else f"its version is {found[:20]!r}, and no four digits"
    return f"its table {nodebench.name!r} holds no version"


def make(database: Database) -> None:
    """Make the newest schema in an empty database, unless another process has been faster."""
    if database.is_file:
        # The readers and the writer of a file do not wait for each other then; the file remembers it.
        database.outside_transaction("PRAGMA journal_mode=WAL")
    with database.changing_schema() as connection:
        if version(connection) is None:  # another process may have been faster
            metadata.create_all(connection)
            views.remake(connection)
            connection.execute(insert(nodebench).values(version_num=SCHEMA_VERSION, identity=uuid.uuid4().hex))
            remember_summary(connection)


def identity(database: Database) -> str:
    """The name by which the database is known under all of its URLs; empty if it has none as we make them."""
    with database.reading() as connection:
        if version(connection) != SCHEMA_VERSION:
            return ""
        found = connection.scalar(select(nodebench.c.identity))
    return found if isinstance(found, str) and _IDENTITY.fullmatch(found) else ""


def remember_summary(connection: Connection) -> None:
    """Write down that the table `summary` has the columns that this program's metrics ask for."""
    connection.execute(update(nodebench).values(summary_columns=SUMMARY_COLUMNS))


def summary_is_ours(connection: Connection) -> bool:
    """Whether the table `summary` was made with the columns that this program's metrics ask for, and no others."""
    return bool(connection.scalar(select(nodebench.c.summary_columns)) == SUMMARY_COLUMNS)


def summary_serves(connection: Connection) -> bool:
    """Whether the table `summary` has all columns that a reader with this program's metrics asks for."""
    if summary_is_ours(connection):
        return True
    return {found["name"] for found in inspect(connection).get_columns(summary.name)} >= set(summary.c.keys())
