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

from results.engine.answering import Answering
from results.engine.connections import answer_s, engine_for, is_frozen
from results.engine.location import RECOVER, StoreError, UnwritableError, file_of, locate, place, state_folder
from results.engine.open_file import Change, OpenFile
from results.engine.refusal import refusal

PATIENCE_S = 30.0  # a trial is written in milliseconds: whoever holds a lock or an answer back this long has hung
IMPATIENCE_S = 1.0
_AGAIN_S = 0.01
_REMAKING = 0x6E6F6465  # the advisory lock that makers and upgraders of a schema take on a server


class Database:
    """An SQLite file or a server's database."""

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = locate(url, create=create)
        self.place = place(self.url)
        self.notices: list[str] = []  # what the user should know of what was done
        self.astray: Path | None = None  # the file that is written, since another one stands where it was
        self.on_closing: Callable[[], None] | None = None
        self.only_read = False  # what is written to a copy would be gone with it
        self.brief = False  # whether all that is asked of a server takes it moments: else it is given up
        self._patience_s = PATIENCE_S
        self._held: OpenFile | None = None
        path = file_of(self.url)
        self._connect(self.url, frozen=path is not None and not create and is_frozen(path))

    def _connect(self, url: URL, *, frozen: bool = False) -> None:
        self._engine = engine_for(url, frozen=frozen, patience_s=lambda: self._patience_s)
        self._answering = None if self.is_file else Answering(self._engine)
        # A writer takes SQLite's lock at once: a reader that turns writer is refused instead of waiting.
        self._writer = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._file = None if frozen else file_of(url)  # that is written

    @property
    def is_file(self) -> bool:
        """Whether the database is an SQLite file, and no server's."""
        return self._engine.dialect.name == "sqlite"

    def read_instead(self, copy: Path) -> None:
        """Use a copy of the database from now on."""
        self._engine.dispose()
        self._connect(URL.create("sqlite", database=str(copy)))

    def close(self) -> None:
        """Close the connections; what was written to a file that was taken away is saved first."""
        try:
            if self._held is not None and self._held.change() is not Change.cut:  # of that, nothing can be saved
                with self._explained("written"):
                    self._stay()
        finally:
            self._let_go()
            if self.on_closing:
                self.on_closing()

    def _let_go(self) -> None:
        self._engine.dispose()
        if self._held is not None:
            self._held.close()
            self._held = None

    def be_patient(self, patient: bool) -> None:
        """Wait long for a lock, or hardly at all: a database that has refused once is not waited for each time."""
        seconds = PATIENCE_S if patient else IMPATIENCE_S
        if seconds != self._patience_s:
            self._patience_s = seconds
            self._engine.dispose()  # a connection learns it as it is made

    @contextmanager
    def at_leisure(self) -> Iterator[None]:
        """Let a server take its time for what is asked meanwhile."""
        before, self.brief = self.brief, False
        try:
            yield
        finally:
            self.brief = before

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection with one consistent view of the data."""
        isolated = {} if self.is_file else {"isolation_level": "REPEATABLE READ"}
        with self._explained("read"), self._engine.connect().execution_options(**isolated) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of the body is written, or nothing."""
        if self.only_read:
            raise UnwritableError(
                f"{self.place} is open to be read, and of an older version: open it to be written, which upgrades it"
            )
        with self._explained("written"):
            self._stay()
            with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def alone(self, lock: int) -> Iterator[Connection]:
        """A transaction that excludes every other transaction with the same lock."""
        with self.writing() as connection:
            if not self.is_file:  # SQLite has one writer anyhow
                connection.execute(select(func.pg_advisory_xact_lock(lock)))
            yield connection

    @contextmanager
    def remaking(self) -> Iterator[Connection]:
        """A transaction that changes the schema, and excludes every other one that does."""
        with self.alone(_REMAKING) as connection:
            yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """The driver's own connection."""
        with self._explained("written"), closing(self._engine.raw_connection()) as connection:
            yield connection

    def outside(self, statement: str) -> None:
        """Run a statement on a file that SQLite runs outside of transactions only."""
        until = time.monotonic() + self._patience_s
        with self.raw() as connection:
            while True:
                try:
                    connection.cursor().execute(statement)
                    return
                except sqlite3.Error as error:
                    # For some statements SQLite does not wait itself, where two would wait for each other.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                        raise OperationalError(statement, None, error) from error
                time.sleep(_AGAIN_S)

    def now(self, connection: Connection) -> float:
        """Seconds since the epoch, by one clock for all who write to it."""
        if self.is_file:
            return time.time()
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)

    def _stay(self) -> None:
        """Make sure that the file that is written still has a name: somebody may have taken it away."""
        if self._file is None:
            return
        if self._held is None:
            try:
                self._held = OpenFile(Path(os.path.realpath(self._file)))
            except (OSError, sqlite3.Error) as error:
                raise OperationalError("", None, error) from error
            self._engine.dispose()  # what it has open may be another file, which was taken away already
        elif change := self._held.change():
            path = self._held.save(change, state_folder() / "rescued")
            if change is not Change.cut:
                self._go_on(change, path)
                self._stay()

    def _go_on(self, change: Change, path: Path) -> None:
        """Write from now on into the file that holds the content of the one that was taken away."""
        said = f"{self.place} {change.value} while it was written"
        if self._held is None or path == self._held.path:
            self.notices.append(f"{said}: it was restored, and nothing is lost")
        else:
            merge = f"nodebench db merge {shlex.quote(str(path))} --db {shlex.quote(self.place)}"
            kept = f"what was in it, and what was measured since, is in {path}, a database as any other"
            self.notices.append(f"{said}: {kept}: {merge}")
            self.astray = path
            self.url = self.url.set(database=str(path))
            self.place = place(self.url)
        self._let_go()
        self._connect(self.url)

    def _watched(self) -> AbstractContextManager[None]:
        if self._answering and self.brief:
            return self._answering.within(answer_s(self._patience_s))
        return nullcontext()

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            with self._watched():
                yield
        except DBAPIError as error:
            if self._answering and (seconds := self._answering.given_up_s):
                said = f"its server has said nothing for {seconds:.0f} s"
                raise UnwritableError(f"{self.place} cannot be {verb} ({said}): see whether it hangs") from error
            raise refusal(error, place=self.place, verb=verb) from error
        except UnicodeDecodeError as error:  # what SQLite says of a damaged schema repeats its bytes
            raise StoreError(f"{self.place} cannot be {verb} (its schema is damaged): {RECOVER}") from error
