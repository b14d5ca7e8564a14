"""Copies of databases of any engine and any version of the schema: SQLite files that can be opened and merged.

A copy is accepted when its pages are intact and it has as many rows of each table as the database.
"""

import itertools
import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, event, inspect
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import CompileError, OperationalError
from sqlalchemy.schema import CreateIndex, CreateTable

from results.engine.database import Database
from results.engine.drafts import drafted
from results.engine.location import RECOVER, StoreError
from results.schema import structure, views
from results.schema import versions as schema
from results.schema.tables import SCHEMA_VERSION, metadata, nodebench, summary

_CHUNK = 10_000  # rows in memory at a time
_ROWS_PER_STATEMENT = 100  # rows that one statement inserts
_NO_LIMITS = ("idle_in_transaction_session_timeout", "statement_timeout")  # of a server, would end a long copy


def back_up(database: Database, path: Path | None = None) -> Path:
    """Copy the database to a file; without a path, one beside it that names its version and the time."""
    path = path or _beside(database)
    if path.exists():
        raise StoreError(f"{path} exists: a backup overwrites nothing, pass another name")
    try:
        with drafted(path, durable=True) as draft:
            copy_to(database, draft)
            _give_identity(draft)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be written ({error}): pass another name or make room") from error
    return path


def copy_to(database: Database, path: Path) -> None:
    """One consistent state of the database in a new file, which is then compared with it; also while others write."""
    with database.reading() as source, closing(sqlite3.connect(path)) as target:
        counted = _count(source)
        if database.is_file:
            driver: Any = source.connection.driver_connection
            driver.backup(target)
        else:
            _copy_rows(source, target, list(counted))
        _compare(database.place, counted, target)


def _give_identity(copy: Path) -> None:
    """Give the copy a new identity, so that it does not take in the trials that are spooled for the original."""
    with closing(sqlite3.connect(copy)) as connection, connection:
        if any(column[1] == nodebench.c.identity.name for column in connection.execute("pragma table_info(nodebench)")):
            connection.execute("update nodebench set identity = ?", (uuid.uuid4().hex,))


def _beside(database: Database) -> Path:
    """A free path for a backup: beside a file, or in the working folder for a server."""
    with database.reading() as connection:
        version = schema.version(connection) or "empty"
    stem = Path(database.url.database or "bench")
    folder = stem.parent if database.is_file else Path()
    name = f"{stem.stem}-v{version}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(path for path in (folder / f"{name}.db" for name in names) if not path.exists())


def _count(source: Connection) -> dict[str, int]:
    """The number of rows of each of our tables. Other tables are not copied."""
    there = inspect(source).get_table_names()
    names = [name for name in metadata.tables if name in there]
    return {name: source.exec_driver_sql(f'select count(*) from "{name}"').scalar_one() for name in names}


def _compare(place: str, counted: dict[str, int], copy: sqlite3.Connection) -> None:
    try:
        (said,) = copy.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:  # too damaged to be checked
        said = str(error)
    if said != "ok":
        raise StoreError(f"{place} is damaged, and so would be its copy ({said}): no backup was made; {RECOVER}")
    for table, count in counted.items():
        (copied,) = copy.execute(f'select count(*) from "{table}"').fetchone()
        if copied != count:
            raise StoreError(f"{place} has {count} rows of {table}, and its copy {copied}: try again")


def _copy_rows(source: Connection, target: sqlite3.Connection, names: list[str]) -> None:
    """Copy each of our tables from a server, in types that SQLite has."""
    for limit in _NO_LIMITS:
        source.exec_driver_sql(f"set local {limit} = 0")
    tables, are_ours = _tables(source, names)
    for table in tables:
        _make(target, CreateTable(table))
    target.execute("pragma synchronous = off")  # it is a draft, which is written to the disk once, at the end
    target.execute("begin")
    for table in tables:
        try:
            _copy_table(source.connection.driver_connection, target, table)
        except source.dialect.loaded_dbapi.Error as error:
            raise OperationalError(f"select from {table.name}", None, error) from error
        for index in table.indexes:  # made after the rows, which takes less time
            _make(target, CreateIndex(index))
    if are_ours:
        for statement in views.statements("sqlite").values():
            target.execute(statement)
    elif any(nodebench.c.summary_columns.name in table.c for table in tables if table.name == nodebench.name):
        target.execute("update nodebench set summary_columns = null")  # whoever opens it recreates summary and views
    target.execute("commit")


def _tables(source: Connection, names: list[str]) -> tuple[list[Table], bool]:
    """The tables that are copied, and whether all of them are as this program makes them."""
    newest = schema.version(source) == SCHEMA_VERSION
    other = structure.different(source) if newest else ""
    if newest and not other:
        return metadata.sorted_tables, True
    if other == summary.name:  # made by a program with other metrics
        reflected = _reflected(source, [summary.name]).tables[summary.name]
        return [reflected if table is summary else table for table in metadata.sorted_tables], False
    return _reflected(source, names).sorted_tables, False


def _make(target: sqlite3.Connection, what: CreateTable | CreateIndex) -> None:
    try:
        target.execute(str(what.compile(dialect=sqlite.dialect())))
    except CompileError as error:
        raise StoreError(f"{what.element} has columns of types that SQLite has not: mend it") from error


def _copy_table(source: Any, target: sqlite3.Connection, table: Table) -> None:
    """Copy a table's rows by the driver itself: SQLAlchemy would make each row three times."""
    columns = [f'"{one.name}"::text' if isinstance(one.type, JSON) else f'"{one.name}"' for one in table.columns]
    with source.cursor("backup", binary=True) as rows, ThreadPoolExecutor(1) as pool:
        rows.execute(f'select {", ".join(columns)} from "{table.name}"')
        ahead = pool.submit(rows.fetchmany, _CHUNK)
        while part := ahead.result():
            ahead = pool.submit(rows.fetchmany, _CHUNK)  # while SQLite inserts these
            _insert(target, table.name, part)


def _insert(target: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert the rows, many with each statement, which takes SQLite half the time."""
    width = len(rows[0])
    at_once = min(_ROWS_PER_STATEMENT, target.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // width)
    place = f"({', '.join('?' * width)})"
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        values = itertools.chain.from_iterable(part)
        target.execute(f'insert into "{table}" values {", ".join([place] * len(part))}', tuple(values))


def _reflected(connection: Connection, names: list[str]) -> MetaData:
    """The tables as they are in a database of another version."""
    found = MetaData()

    @event.listens_for(found, "column_reflect")
    def generic(_inspector: Any, _table: Any, column: dict[str, Any]) -> None:
        column["type"] = column["type"].as_generic(allow_nulltype=True)
        column["default"] = None  # an expression of the server, such as nextval(...)

    found.reflect(connection, only=names)
    return found
