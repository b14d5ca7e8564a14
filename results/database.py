"""A database and its transactions. What is in it, it does not know."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError, OperationalError

from results.engine import engine_for
from results.location import locate, place
from results.refusal import refusal

PATIENCE_S = 30.0  # a trial is written in milliseconds: whoever holds the lock this long has hung
IMPATIENCE_S = 1.0
_REMAKING = 0x6E6F6465  # the advisory lock that makers and upgraders of a schema take on a server


class Database:
    """An SQLite file or a server's database."""

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = locate(url, create=create)
        self.place = place(self.url)
        self._patience_s = PATIENCE_S
        self._engine = engine_for(self.url, create=create, patience_s=lambda: self._patience_s)
        # A writer takes SQLite's lock at once: a reader that turns writer is refused instead of waiting.
        self._writer = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file, and no server's."""
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def be_patient(self, patient: bool) -> None:
        """Wait for a lock as long as it may take, or hardly: what has been refused once is not waited for each time."""
        seconds = PATIENCE_S if patient else IMPATIENCE_S
        if seconds != self._patience_s:
            self._patience_s = seconds
            self._engine.dispose()  # a connection learns it as it is made

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the data."""
        isolated = {} if self.is_file else {"isolation_level": "REPEATABLE READ"}
        with self._explained("read"), self._engine.connect().execution_options(**isolated) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is written, or nothing."""
        with self._explained("written"), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def alone(self, lock: int) -> Iterator[Connection]:
        """A transaction beside which no other with the same lock goes on."""
        with self.writing() as connection:
            if not self.is_file:  # SQLite has one writer anyhow
                connection.execute(select(func.pg_advisory_xact_lock(lock)))
            yield connection

    @contextmanager
    def remaking(self) -> Iterator[Connection]:
        """A transaction that changes the schema: nobody else's goes on beside it."""
        with self.alone(_REMAKING) as connection:
            yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """The driver's own connection."""
        with self._explained("written"), closing(self._engine.raw_connection()) as connection:
            yield connection

    def outside(self, statement: str) -> None:
        """Do to a file what SQLite does in no transaction."""
        with self.raw() as connection:
            try:
                connection.cursor().execute(statement)
            except sqlite3.Error as error:
                raise OperationalError(statement, None, error) from error

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch, by one clock for all who write to it."""
        if self.is_file:
            return time.time()
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise refusal(error, place=self.place, verb=verb) from error
