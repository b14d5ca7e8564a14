"""SQLAlchemy's engine for a URL: how a connection is set up, and how long it waits."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from results.engine.location import StoreError, beside, file_of, place

_SHORTEST_S = 2.0  # libpq's shortest timeout for a connection
_KEEPALIVES = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}  # s, s, number


def engine_for(url: URL, *, frozen: bool, patience_s: Callable[[], float]) -> Engine:
    """The engine for a URL. Each connection waits for a lock as long as `patience_s` says when the connection is made.

    `frozen`: the file is opened as immutable: nobody writes to it, and SQLite makes no file beside it.
    """
    path = file_of(url)
    if path is not None:
        return _file_engine(url, path, frozen=frozen, patience_s=patience_s)
    try:
        # A server may have been restarted since the last transaction: each connection is tried before it is used.
        engine = create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        raise StoreError(
            f"{place(url)} needs the Python package {error.name or 'psycopg'!r}, which is not installed: "
            "pip install 'psycopg[binary]'"
        ) from error
    event.listen(engine, "do_connect", _with_timeouts(patience_s))
    return engine


def connect(path: Path, how: str = "mode=rw") -> sqlite3.Connection:
    """A connection to an existing file by SQLite's URI, in which no character of the path has a special meaning."""
    name = quote(os.fsencode(path.absolute()))
    return sqlite3.connect(f"file:{name}?{how}", uri=True, check_same_thread=False)


def _file_engine(url: URL, path: Path, *, frozen: bool, patience_s: Callable[[], float]) -> Engine:
    engine = create_engine(url, creator=lambda: connect(path, "immutable=1" if frozen else "mode=rw"))

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3's own BEGIN comes too late for reads and for the schema
        connection.execute(f"PRAGMA busy_timeout={1000 * patience_s():.0f}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")  # what is committed survives a power cut too

    event.listen(engine, "begin", _begin)
    return engine


def is_frozen(path: Path) -> bool:
    """Whether SQLite must read the file as immutable, because we cannot write the file or cannot write into its folder.

    SQLite writes beside a file with write-ahead logging even to read it. A file with content in its -wal file is not
    read as immutable: that content would be missing.
    """
    path = Path(os.path.realpath(path))  # SQLite writes beside what a link leads to
    wal = beside(path, "-wal")
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return not writable and not (wal.exists() and wal.stat().st_size)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def answer_s(patience_s: float) -> float:
    """The seconds to wait for an answer that a server gives at once. A new connection after that has the rest."""
    return max(_SHORTEST_S, 0.6 * patience_s)


def _with_timeouts(patience_s: Callable[[], float]) -> Callable[..., None]:
    def limit(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        """Set the timeouts for a lock, a new connection and a lost server; refuse row security that hides rows."""
        milliseconds = f"{1000 * patience_s():.0f}"
        ours = f"-c lock_timeout={500 * patience_s():.0f} -c row_security=off"  # fail if rows are hidden
        parameters["options"] = f"{ours} {parameters.get('options', '')}".strip()
        parameters.setdefault("connect_timeout", f"{max(_SHORTEST_S, patience_s() / 3):.0f}")
        parameters.setdefault("tcp_user_timeout", milliseconds)
        for name, value in _KEEPALIVES.items():
            parameters.setdefault(name, value)

    return limit
