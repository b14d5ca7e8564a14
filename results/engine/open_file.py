"""An SQLite file that is held open, so that its content can be saved when somebody removes it.

SQLite does not check: it continues to write into a file that has no path any more, and all of it is lost when the
process ends.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path

from results.engine.connections import connect
from results.engine.location import LOGS, UnwritableError, beside

_Identity = tuple[int, int] | None  # device and inode; None: there is no file


class Change(Enum):
    """A change that somebody made to an open file."""

    removed = "was removed"
    replaced = "was replaced by another file"
    unlogged = "has lost its -wal or its -shm file"
    cut = "was cut short"


class OpenFile:
    """A connection that holds a file and its -wal file open, and is used for nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path)
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the -wal file too
        self._mode = path.stat().st_mode
        self._size = path.stat().st_size
        self._file = _identity(path)
        self._logs = {log: _identity(beside(path, log)) for log in LOGS}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def change(self) -> Change | None:
        """The change of the file since it was opened or last seen whole; None if there is none."""
        now, logs = _identity(self.path), {log: _identity(beside(self.path, log)) for log in LOGS}
        if now != self._file:
            return Change.removed if now is None else Change.replaced
        if any(known not in (None, logs[log]) for log, known in self._logs.items()):
            return Change.unlogged
        size = self.path.stat().st_size
        if size < self._size:  # or made smaller by pruning: `save` checks which
            return Change.cut
        self._logs, self._size = logs, size
        return None

    def save(self, change: Change, apart: Path) -> Path:
        """Save the content at the file's own path if possible, else beside it, else in the folder `apart`; its path.

        An UnwritableError if none is possible; the caller may try again.
        """
        try:
            if change is Change.unlogged:
                return self._fold()
            if change is Change.cut:
                return self._checked()
            return self._copied(apart)
        except (OSError, sqlite3.Error) as error:
            raise UnwritableError(
                f"{self.path} {change.value} while it was written, and what was in it cannot be saved ({error}): "
                f"{'restore a backup of it' if change is Change.cut else 'make room before this process ends'}"
            ) from error

    def _fold(self) -> Path:
        """Write the content of the lost -wal file into the database itself."""
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("another process reads it")
        return self._checked()

    def _checked(self) -> Path:
        with closing(connect(self.path)) as fresh:  # the held connection may have cached pages that are lost
            (said,) = fresh.execute("PRAGMA quick_check(1)").fetchone()
            tables = fresh.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if said != "ok" or tables == (0,):
            raise sqlite3.DatabaseError("database disk image is malformed")
        self._size = self.path.stat().st_size
        return self.path

    def _copied(self, apart: Path) -> Path:
        name = f"{self.path.stem}-rescued-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.db"
        try:
            return self._copied_to(self.path.parent, name)
        except (OSError, sqlite3.Error):
            return self._copied_to(apart, name)

    def _copied_to(self, folder: Path, name: str) -> Path:
        """Copy the content to its own path if that is free in this folder, else to the other name; the copy's path."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}.draft"
        try:
            with closing(sqlite3.connect(draft)) as target:
                self._connection.backup(target)
            draft.chmod(self._mode & 0o777)
            if folder == self.path.parent and self._put_back(draft):
                return self.path
            return draft.replace(folder / name)
        finally:
            draft.unlink(missing_ok=True)

    def _put_back(self, draft: Path) -> bool:
        with _one_at_a_time(draft.parent):  # another run may have lost the same file
            for log, known in self._logs.items():  # SQLite would use them for the next file at this path
                if _identity(beside(self.path, log)) == known:
                    beside(self.path, log).unlink(missing_ok=True)
            if os.path.lexists(self.path):
                return False
            try:
                self.path.hardlink_to(draft)
            except FileExistsError:
                return False
            except OSError:  # not every file system has hard links
                draft.replace(self.path)
        return True


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """A body that one process at a time runs in a folder; the lock leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
