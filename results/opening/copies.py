"""Reading that leaves a database as it is: where reading would change it, a temporary copy is read."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from results.engine.connections import connect
from results.engine.database import Database
from results.engine.held_folder import HeldFolder, remove_abandoned
from results.engine.location import LOGS, StoreError, UnwritableError, beside, file_of
from results.opening.copying import copy_to
from results.opening.renewal import renew_copy
from results.schema import structure
from results.schema import versions as schema
from results.schema.tables import SCHEMA_VERSION

_PREFIX = "nodebench-copy-"
_TRIES = 5
_PARTS = ("", "-wal", "-journal")  # the files that hold a database's content, of which the last two may be missing


def open_unchanged(database: Database) -> None:
    """Open the database for reading in the newest schema, if need be in a copy, and change nothing of it.

    A file is always copied: SQLite makes files beside the one that it reads, and may write into it what a killed
    process has left in its log.
    """
    path = file_of(database.url)
    if path or not _is_newest(database):
        database.read_instead(_copied(database, path))
        if not _is_newest(database):
            _make_newest(database)
    database.only_read = True


def _is_newest(database: Database) -> bool:
    """Whether the database has the newest schema, with the columns of this program's metrics in `summary`."""
    if schema.known(database) != SCHEMA_VERSION:
        return False
    with database.reading() as connection:
        return schema.summary_is_ours(connection)


def _make_newest(copy: Database) -> None:
    _refuse_triggers(copy)
    found = schema.known(copy)
    if found == SCHEMA_VERSION:
        renew_copy(copy)
    elif found is not None:
        from results.opening.migration import upgrade_copy  # Alembic takes a while to load

        upgrade_copy(copy, found)


def _refuse_triggers(database: Database) -> None:
    """Refuse a copy with triggers, which an upgrade would execute."""
    with database.reading() as connection:
        if found := structure.unsafe_object(connection):
            raise StoreError(f"{database.place} has {found}, and is not upgraded to be read: drop it there")


def _copied(database: Database, path: Path | None) -> Path:
    """A copy of the database, in a folder that is removed when the database is closed."""
    try:
        remove_abandoned(tempfile.gettempdir(), _PREFIX)
        folder = HeldFolder.made(tempfile.gettempdir(), _PREFIX)
        database.on_closing = folder.remove
        copy = folder.path / "copy.db"
        if path:
            _copy_file(Path(os.path.realpath(path)), copy)
        else:
            copy_to(database, copy)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{database.place} cannot be copied to be read ({error}): make room, or set TMPDIR to a folder that has it"
        ) from error
    return copy


def _copy_file(path: Path, copy: Path) -> None:
    """Copy all content of a file, without a change to it, also while another process writes to it."""
    for _ in range(_TRIES):
        if all(beside(path, log).exists() for log in LOGS):  # the file may be in use: SQLite copies it
            with closing(connect(path, "mode=ro")) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            return
        before = _state(path)
        for part in _PARTS:
            if beside(path, part).exists():
                shutil.copyfile(beside(path, part), beside(copy, part))
        if _state(path) == before:
            return
    raise UnwritableError(f"{path} is changed again and again while it is copied: try again when it is at rest")


def _state(path: Path) -> list[tuple[str, int, int, int]]:
    """The inode, size and time of a file and of those beside it: one differs after somebody opened or wrote it."""
    found = [(part, beside(path, part)) for part in (*_PARTS, "-shm")]
    return [(part, s.st_ino, s.st_size, s.st_mtime_ns) for part, file in found if file.exists() for s in [file.stat()]]
