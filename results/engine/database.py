"""A database and its transactions, whatever the database holds."""

import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.exc import DBAPIError, OperationalError

from results.engine.connections import answer_s, engine_for, is_frozen
from results.engine.location import RECOVER, StoreError, UnwritableError, file_of, locate, place, state_folder
from results.engine.open_file import Change, OpenFile
from results.engine.refusal import refusal
from results.engine.watchdog import Watchdog

PATIENCE_S = 30.0  # waited for a lock: a trial is written in milliseconds, so a process that takes this long has hung
IMPATIENCE_S = 1.0  # waited for a lock after a refusal
_RETRY_S = 0.01
_SCHEMA_LOCK = 0x6E6F6465  # advisory lock of a server for transactions that change the schema


class Database:
    """An SQLite file or a server's database."""

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = locate(url, create=create)
        self.place = place(self.url)
        self.notices: list[str] = []  # for the user: what was done
        self.moved_to: Path | None = None  # the file that is written now, if its first path has another file
        self.on_closing: Callable[[], None] | None = None
        self.only_read = False  # a temporary copy is read: what is written to it would be lost
        self.limits_answer_time = False  # whether a server that does not answer soon is given up
        self._patience_s = PATIENCE_S
        self._held: OpenFile | None = None
        path = file_of(self.url)
        self._connect(self.url, frozen=path is not None and not create and is_frozen(path))

    def _connect(self, url: URL, *, frozen: bool = False) -> None:
        self._engine = engine_for(url, frozen=frozen, patience_s=lambda: self._patience_s)
        self._watchdog = None if self.is_file else Watchdog(self._engine)
        # A writer takes SQLite's lock at once: a reader that turns writer is refused instead of waiting.
        self._writer = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._file = None if frozen else file_of(url)  # the file that is written; None for a server

    @property
    def is_file(self) -> bool:
        """Whether the database is an SQLite file, and no server's."""
        return self._engine.dialect.name == "sqlite"

    def read_instead(self, copy: Path) -> None:
        """Use a copy of the database from now on."""
        self._engine.dispose()
        self._connect(URL.create("sqlite", database=str(copy)))

    def close(self) -> None:
        """Close the connections; the content of a file that somebody removed is saved first."""
        try:
            # A file that was cut short cannot be saved.
            if self._held is not None and self._held.change() is not Change.cut:
                with self._translating_errors("written"):
                    self._keep_file()
        finally:
            self._disconnect()
            if self.on_closing:
                self.on_closing()

    def _disconnect(self) -> None:
        self._engine.dispose()
        if self._held is not None:
            self._held.close()
            self._held = None

    def be_patient(self, patient: bool) -> None:
        """Wait long for a lock, or only briefly: after a refusal not every write waits long."""
        seconds = PATIENCE_S if patient else IMPATIENCE_S
        if seconds != self._patience_s:
            self._patience_s = seconds
            self._engine.dispose()  # a connection gets its timeouts when it is made

    @contextmanager
    def without_answer_limit(self) -> Iterator[None]:
        """A body in which a server may take any time to answer."""
        before, self.limits_answer_time = self.limits_answer_time, False
        try:
            yield
        finally:
            self.limits_answer_time = before

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection with one consistent view of the data."""
        isolated = {} if self.is_file else {"isolation_level": "REPEATABLE READ"}
        with self._translating_errors("read"), self._engine.connect().execution_options(**isolated) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of the body is written, or nothing."""
        if self.only_read:
            raise UnwritableError(
                f"{self.place} is open to be read, and of an older version: open it to be written, which upgrades it"
            )
        with self._translating_errors("written"):
            self._keep_file()
            with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def exclusive(self, lock: int) -> Iterator[Connection]:
        """A transaction that excludes every other transaction with the same lock."""
        with self.writing() as connection:
            if not self.is_file:  # SQLite has one writer at a time
                connection.execute(select(func.pg_advisory_xact_lock(lock)))
            yield connection

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """A transaction that changes the schema, and excludes every other one that does."""
        with self.exclusive(_SCHEMA_LOCK) as connection:
            yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """The driver's own connection."""
        with self._translating_errors("written"), closing(self._engine.raw_connection()) as connection:
            yield connection

    def outside_transaction(self, statement: str) -> None:
        """Run a statement that SQLite accepts only outside of transactions."""
        until = time.monotonic() + self._patience_s
        with self.raw() as connection:
            while True:
                try:
                    connection.cursor().execute(statement)
                    return
                except sqlite3.Error as error:
                    # SQLite itself does not wait for a lock where two connections could wait for each other.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                        raise OperationalError(statement, None, error) from error
                time.sleep(_RETRY_S)

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch, by a clock that all writers of the database share."""
        if self.is_file:
            return time.time()
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)

    def _keep_file(self) -> None:
        """Make sure that the open file still has its path: somebody may have removed or replaced it."""
        if self._file is None:
            return
        if self._held is None:
            try:
                self._held = OpenFile(Path(os.path.realpath(self._file)))
            except (OSError, sqlite3.Error) as error:
                raise OperationalError("", None, error) from error
            self._engine.dispose()  # its connections may be to another file, which was removed before
        elif change := self._held.change():
            path = self._held.save(change, state_folder() / "rescued")
            if change is not Change.cut:
                self._continue_in(change, path)
                self._keep_file()

    def _continue_in(self, change: Change, path: Path) -> None:
        """Write from now on into the file at `path`, which has the content of the file that was taken away."""
        said = f"{self.place} {change.value} while it was written"
        if self._held is None or path == self._held.path:
            self.notices.append(f"{said}: it was restored, and nothing is lost")
        else:
            merge = f"nodebench db merge {shlex.quote(str(path))} --db {shlex.quote(self.place)}"
            kept = f"what was in it, and what was measured since, is in {path}, a database as any other"
            self.notices.append(f"{said}: {kept}: {merge}")
            self.moved_to = path
            self.url = self.url.set(database=str(path))
            self.place = place(self.url)
        self._disconnect()
        self._connect(self.url)

    def _watched(self) -> AbstractContextManager[None]:
        if self._watchdog and self.limits_answer_time:
            return self._watchdog.within(answer_s(self._patience_s))
        return nullcontext()

    @contextmanager
    def _translating_errors(self, verb: str) -> Iterator[None]:
        try:
            with self._watched():
                yield
        except DBAPIError as error:
            if self._watchdog and (seconds := self._watchdog.given_up_s):
                said = f"its server has said nothing for {seconds:.0f} s"
                raise UnwritableError(f"{self.place} cannot be {verb} ({said}): see whether it hangs") from error
            raise refusal(error, place=self.place, verb=verb) from error
        except UnicodeDecodeError as error:  # SQLite's message about a damaged schema contains its bytes
            raise StoreError(f"{self.place} cannot be {verb} (its schema is damaged): {RECOVER}") from error
