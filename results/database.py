"""A database of ours: opened, its schema checked or made, its transactions."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from results.location import StoreError, locate, place
from results.tables import SCHEMA_VERSION, metadata, nodebench

BUSY_TIMEOUT_MS = 30_000  # a trial is written in milliseconds: whoever holds the lock this long has hung


class Database:
    """Transactions on a database whose schema is ours."""

    def __init__(self, url: str, *, create: bool) -> None:
        located = locate(url, create=create)
        self._place = place(located)
        self._engine = _engine(located)
        try:
            self._check_schema(create=create)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the data."""
        with self._explained("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is written, or nothing."""
        # A writer takes SQLite's lock at once: a reader that turns writer is refused instead of waiting.
        engine = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with self._explained("written"), engine.begin() as connection:
            yield connection

    def _check_schema(self, *, create: bool) -> None:
        with self.reading() as connection:
            tables = inspect(connection).get_table_names()
        if not tables and not create:
            raise StoreError(f"{self._place} is empty: run `nodebench run` first or pass --db with another path")
        if not tables:
            self._create_schema()
        elif nodebench.name not in tables:
            raise StoreError(
                f"{self._place} is a foreign database (it has a table {tables[0]!r} and none named "
                f"{nodebench.name!r}): pass --db with another path"
            )
        self._check_version()

    def _create_schema(self) -> None:
        if self._engine.dialect.name == "sqlite":
            # Readers and a writer shall not wait for each other. The file itself remembers it.
            with self._explained("written"), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
        with self.writing() as connection:
            if not inspect(connection).has_table(nodebench.name):  # another process may have been faster
                metadata.create_all(connection)
                connection.execute(insert(nodebench).values(id=1, schema_version=SCHEMA_VERSION))

    def _check_version(self) -> None:
        with self.reading() as connection:
            version = connection.scalar(select(nodebench.c.schema_version))
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self._place} has schema version {version}, this nodebench knows {SCHEMA_VERSION}: "
                "update nodebench or pass --db with another path"
            )

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            seen = str(error.orig).partition("\n")[0]
            advice = "wait for the process that uses it" if "locked" in seen else "check the path and the disk"
            raise StoreError(f"{self._place} cannot be {verb} ({seen}): {advice}") from error


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url)
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


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
