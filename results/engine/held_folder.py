"""Temporary folders that a process holds by a lock. Later processes remove the folders of killed ones, and no others.

The system releases the lock however the process ends, so a folder without a lock belongs to no living process. Nor
does systemd remove a locked folder when it clears old files from /tmp.
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

_OWNER_FILE = "process"  # with machine and process id; a folder of the user hardly has a file like it
_SUFFIX = 8  # characters that mkdtemp adds to a prefix


@dataclass(frozen=True)
class HeldFolder:
    """A temporary folder that this process holds by a lock."""

    path: Path
    _held: int  # descriptor that holds the lock
    _owner: int  # process id

    @classmethod
    def made(cls, place: str, prefix: str) -> "HeldFolder":
        """A new held folder in the folder `place`; an OSError if none can be made there."""
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=Path(place).absolute()))
            with contextlib.suppress(FileNotFoundError):  # another process removed it before it was locked
                held = os.open(path, os.O_RDONLY)
                try:
                    fcntl.flock(held, fcntl.LOCK_SH)  # on NFS an exclusive lock needs a writable file
                    (path / _OWNER_FILE).write_text(f"{_machine()} {os.getpid()}\n")
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


def remove_abandoned(place: str, prefix: str) -> None:
    """Remove the folders with this prefix that killed processes of this user have left behind."""
    for left in _left_in(place, prefix):
        with contextlib.suppress(OSError):  # its process lives, or another process removes it
            _remove_if_free(left)


def _left_in(place: str, prefix: str) -> Iterator[Path]:
    """The folders of this user that are named as held folders are."""
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
        owner = left / _OWNER_FILE
        content = owner.read_bytes() if owner.is_file() else b""
        if content.startswith(os.fsencode(f"{_machine()} ")):  # machines that share a folder may not share its locks
            shutil.rmtree(left)
        elif not content and all(path == owner for path in left.iterdir()):  # killed before it wrote the file
            owner.unlink(missing_ok=True)
            left.rmdir()
    finally:
        os.close(held)


def _machine() -> str:
    return platform.node() or "a machine without a name"
