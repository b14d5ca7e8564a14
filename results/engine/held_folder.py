"""Temporary folders that a process holds by a lock. The next process removes those of killed ones, and no others.

The system frees the lock however the process ends: a folder that is not locked is a dead process's. systemd, too,
spares a locked folder when it clears /tmp of what is old.
"""

import contextlib
import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MARK = "process"  # a file with the machine and the process's number, which a user's folder hardly has
_SUFFIX = 8  # characters that mkdtemp adds to a prefix


@dataclass(frozen=True)
class HeldFolder:
    """A temporary folder that this process holds by a lock."""

    path: Path
    _held: int  # descriptor by which it is locked
    _owner: int

    @classmethod
    def made(cls, place: str, prefix: str) -> "HeldFolder":
        """A new held folder in that place; an OSError if none can be made there."""
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=Path(place).absolute()))
            with contextlib.suppress(FileNotFoundError):  # another has swept it in the moment before it was locked
                held = os.open(path, os.O_RDONLY)
                try:
                    fcntl.flock(held, fcntl.LOCK_SH)  # on NFS an exclusive one needs a file that can be written
                    (path / _MARK).write_text(f"{_machine()} {os.getpid()}\n")
                except OSError:
                    os.close(held)
                    shutil.rmtree(path, ignore_errors=True)
                    raise
                return cls(path, held, os.getpid())

    def remove(self) -> None:
        """Remove the folder with all that is in it. A child that was forked from its process removes nothing."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)
            with contextlib.suppress(OSError):  # closed already
                os.close(self._held)


def sweep(place: str, prefix: str) -> None:
    """Remove the folders that begin with this prefix and that killed processes of this user have left behind."""
    for left in _left_in(place, prefix):
        with contextlib.suppress(OSError):  # it lives, or another removes it now
            _remove_if_free(left)


def _left_in(place: str, prefix: str) -> Iterator[Path]:
    """The folders of this user that have the name and the mark of a held folder."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            alike = entry.name.startswith(prefix) and len(entry.name) == len(prefix) + _SUFFIX
            named = alike and entry.is_dir(follow_symlinks=False)
            if named and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                yield Path(entry.path)


def _remove_if_free(left: Path) -> None:
    held = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark = left / _MARK
        said = mark.read_bytes() if mark.is_file() else b""
        if said.startswith(os.fsencode(f"{_machine()} ")):  # a folder that is shared need not share its locks
            shutil.rmtree(left)
        elif not said and all(path == mark for path in left.iterdir()):  # killed as soon as it was made
            mark.unlink(missing_ok=True)
            left.rmdir()
    finally:
        os.close(held)


def _machine() -> str:
    return platform.node() or "a machine without a name"
