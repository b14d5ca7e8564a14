"""SQLAlchemy's engine for a URL: how a connection is set up, and how long it waits."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import NoSuchModuleError

from results.location import StoreError, file_of, place

_PACKAGES = {"psycopg": "'psycopg[binary]'"}  # where the driver alone does not do


def engine_for(url: URL, *, create: bool, patience_s: Callable[[], float]) -> Engine:
    """An engine; each of its connections waits for a lock as long as `patience_s` says when it is made."""
    try:
        if url.get_backend_name() == "sqlite":
            return _of_file(url, create=create, patience_s=patience_s)
        # A server may have been started anew since the last transaction: each connection is tried before it is used.
        engine = create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError as error:
        raise StoreError(
            f"unknown kind of database {url.drivername!r}: pass --db with a path or sqlite:///out/bench.db"
        ) from error
    except ImportError as error:
        driver = error.name or url.get_driver_name()
        raise StoreError(
            f"{place(url)} needs the Python package {driver!r}, which is not installed: "
            f"pip install {_PACKAGES.get(driver, driver)}"
        ) from error
    if engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", _waiting(patience_s))
    return engine


def _of_file(url: URL, *, create: bool, patience_s: Callable[[], float]) -> Engine:
    path = file_of(url)
    frozen = path is not None and not create and _is_frozen(path)
    engine = create_engine(url, creator=lambda: _immutable(path)) if frozen else create_engine(url)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3's own BEGIN comes too late for reads and for the schema
        connection.execute(f"PRAGMA busy_timeout={1000 * patience_s():.0f}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")  # what is committed outlives a power cut too

    event.listen(engine, "begin", _begin)
    return engine


def _is_frozen(path: Path) -> bool:
    """Whether nobody here can write beside it, which SQLite must to read a file that is written ahead.

    What is still in a -wal file would not be seen: with one, SQLite may look for itself.
    """
    wal = path.with_name(f"{path.name}-wal")
    return path.exists() and not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size)


def _immutable(path: Path | None) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True, check_same_thread=False)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def _waiting(patience_s: Callable[[], float]) -> Callable[..., None]:
    def limit(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        """Set how long to wait for a lock, for a new connection, and for a server that says no more."""
        milliseconds = f"{1000 * patience_s():.0f}"
        parameters["options"] = f"-c lock_timeout={milliseconds} {parameters.get('options', '')}".strip()
        parameters.setdefault("connect_timeout", "10")
        parameters.setdefault("tcp_user_timeout", milliseconds)

    return limit
