"""A database and its transactions. What is in it, it does not know."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchModuleError, OperationalError

from results.location import StoreError, UnwritableError, locate, place

BUSY_TIMEOUT_MS = 30_000  # a trial is written in milliseconds: whoever holds the lock this long has hung
_OURS = 0x6E6F6465  # the advisory lock that makers and upgraders of a schema take on a server


class Database:
    """An SQLite file or a server's database."""

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = locate(url, create=create)
        self.place = place(self.url)
        self._engine = _engine(self.url)

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file, and no server's."""
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the data."""
        isolated = {} if self.is_file else {"isolation_level": "REPEATABLE READ"}
        with self._explained("read"), self._engine.connect().execution_options(**isolated) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is written, or nothing."""
        # A writer takes SQLite's lock at once: a reader that turns writer is refused instead of waiting.
        engine = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with self._explained("written"), engine.begin() as connection:
            yield connection

    @contextmanager
    def remaking(self) -> Iterator[Connection]:
        """A transaction that changes the schema: nobody else's goes on beside it."""
        with self.writing() as connection:
            if not self.is_file:  # SQLite has one writer anyhow
                connection.execute(select(func.pg_advisory_xact_lock(_OURS)))
            yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """The driver's own connection, for what has no place in a transaction."""
        with self._explained("written"), closing(self._engine.raw_connection()) as connection:
            yield connection

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            seen = str(error.orig).partition("\n")[0]
            advice = "wait for the process that uses it" if "locked" in seen else "check the path and the disk"
            kind = UnwritableError if isinstance(error, OperationalError | InterfaceError) else StoreError
            raise kind(f"{self.place} cannot be {verb} ({seen}): {advice}") from error


def _engine(url: URL) -> Engine:
    try:
        # A server may have been started anew since the last transaction: each connection is tried before it is used.
        engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except NoSuchModuleError as error:
        raise StoreError(
            f"unknown kind of database {url.drivername!r}: pass --db with a path or sqlite:///out/bench.db"
        ) from error
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{place(url)} needs the Python package {error.name!r}, which is not installed: pip install {error.name}"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3's own BEGIN comes too late for reads and for the schema
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")  # what is committed outlives a power cut too


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
