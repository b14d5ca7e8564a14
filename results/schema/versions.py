"""The version of a database's schema: an empty database gets the newest, and a foreign database is refused."""

import re
import uuid

from sqlalchemy import Connection, column, insert, inspect, select, table, update

from results.engine.database import Database
from results.engine.location import StoreError
from results.schema import structure, views
from results.schema.tables import SCHEMA_VERSION, SUMMARY_COLUMNS, metadata, nodebench, summary

_IDENTITY = re.compile("[0-9a-f]{32}")  # it becomes a part of a path
_DIGITS = re.compile("[0-9]{4}")
_FIRST = table(nodebench.name, column("schema_version"))  # the column of version 1


def known(database: Database, *, create: bool = False) -> str | None:
    """The schema's version in a database of nodebench; None for an empty one if `create`. Else a StoreError."""
    with database.reading() as connection:
        if odd := structure.unsafe_object(connection, triggers=False):
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
    """The schema's version as four digits; None for an empty database; for a foreign one, what it is, in words."""
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
        # With write-ahead logging readers and the writer do not wait for each other; the file keeps the setting.
        database.outside_transaction("PRAGMA journal_mode=WAL")
    with database.changing_schema() as connection:
        if version(connection) is None:  # another process may have been faster
            metadata.create_all(connection)
            views.remake(connection)
            connection.execute(insert(nodebench).values(version_num=SCHEMA_VERSION, identity=uuid.uuid4().hex))
            remember_summary(connection)


def identity(database: Database) -> str:
    """The database's unique name, the same under all of its URLs; empty if it has none that we made."""
    with database.reading() as connection:
        if version(connection) != SCHEMA_VERSION:
            return ""
        found = connection.scalar(select(nodebench.c.identity))
    return found if isinstance(found, str) and _IDENTITY.fullmatch(found) else ""


def remember_summary(connection: Connection) -> None:
    """Record that the table `summary` has the columns of this program's metrics."""
    connection.execute(update(nodebench).values(summary_columns=SUMMARY_COLUMNS))


def summary_is_ours(connection: Connection) -> bool:
    """Whether the table `summary` was made with exactly the columns of this program's metrics."""
    return bool(connection.scalar(select(nodebench.c.summary_columns)) == SUMMARY_COLUMNS)


def summary_serves(connection: Connection) -> bool:
    """Whether the table `summary` has at least the columns of this program's metrics."""
    if summary_is_ours(connection):
        return True
    return {found["name"] for found in inspect(connection).get_columns(summary.name)} >= set(summary.c.keys())
