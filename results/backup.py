"""A copy of a database, whatever its engine and its schema's version: an SQLite file that can be opened or merged."""

import itertools
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, event, insert, select

from results import schema
from results.chunks import chunks
from results.database import Database
from results.location import StoreError

_CHUNK = 5_000  # rows in memory at a time


def back_up_at(url: str, path: Path | None = None) -> Path:
    """Copy one of our databases as it is, of whatever version: it is not upgraded first."""
    database = Database(url, create=False)
    try:
        with database.reading() as connection:
            version = schema.version(connection)
        if version is None or not version.isdecimal():
            what = "empty" if version is None else f"a foreign database ({version})"
            raise StoreError(f"{database.place} is {what}: pass --db with another path")
        return back_up(database, path)
    finally:
        database.close()


def back_up(database: Database, path: Path | None = None) -> Path:
    """Copy the database to a file; without a path, one beside it that names its version and the time."""
    path = path or _beside(database)
    if path.exists():
        raise StoreError(f"{path} exists: a backup overwrites nothing, pass another name")
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_copy_file if database.is_file else copy_rows)(database, draft)
        draft.replace(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be written ({error}): pass another name or make room") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def _beside(database: Database) -> Path:
    """A server's backup is in the working folder."""
    with database.reading() as connection:
        version = schema.version(connection) or "empty"
    stem = Path(database.url.database or "bench")
    folder = stem.parent if database.is_file else Path()
    name = f"{stem.stem}-v{version}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(path for path in (folder / f"{name}.db" for name in names) if not path.exists())


def _copy_file(database: Database, path: Path) -> None:
    """SQLite's own online backup: consistent, also while others write."""
    with database.raw() as source, closing(sqlite3.connect(path)) as target:
        source.driver_connection.backup(target)


def copy_rows(database: Database, path: Path) -> None:
    """Every table as it is on the server, in types that SQLite has."""
    target = create_engine(f"sqlite:///{path}")
    try:
        with database.reading() as source, target.begin() as connection:
            tables = _reflected(source)
            tables.create_all(connection)
            for table in tables.sorted_tables:
                for rows in chunks(source, select(table), _CHUNK):
                    connection.execute(insert(table), rows)
    finally:
        target.dispose()


def _reflected(connection: Connection) -> MetaData:
    metadata = MetaData()

    @event.listens_for(metadata, "column_reflect")
    def generic(_inspector: Any, _table: Any, column: dict[str, Any]) -> None:
        column["type"] = column["type"].as_generic(allow_nulltype=True)
        column["default"] = None  # a server's own, such as nextval(...)

    metadata.reflect(connection)
    return metadata
