"""The folder of a run's temporary files: sockets, logs, recorded allocations. The next run removes a killed one's.

A run holds a lock on its folder, which the system frees however the run ends: one that is not locked is a dead run's.
systemd, too, spares a locked folder when it clears /tmp of what is old.
"""

import atexit
import contextlib
import fcntl
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bench.failure import UsageError

_PREFIX = "nodebench-run-"
_MARK = "process"  # a file with the run's machine and number, which tells its folder from a user's of such a name
_ASKED = ("TMPDIR", "TEMP", "TMP")  # in the order of tempfile
_USUAL = ("/tmp", "/var/tmp", "/usr/tmp", "/dev/shm")
_SOCKET = "listener-12345678"  # as long as multiprocessing's names


@cache
def folder() -> Path:
    """This process's folder, made when it is first asked for and removed when the process ends.

    It is where TMPDIR says if files can be written there and a socket has room: a socket's path ends at some 100 bytes.
    Otherwise it is in another of the system's folders; a UsageError if none of them will do.
    """
    _sweep()
    tried = []
    for place in _places():
        try:
            return _made(place)
        except OSError as error:
            tried.append(f"{place} ({error.strerror or error})")
    raise UsageError(
        f"no folder for temporary files: tried {', '.join(tried)}; set TMPDIR to a folder with a short path that can "
        "be written"
    )


def _places() -> list[str]:
    """The folders for temporary files, the best first; not the working folder."""
    asked = [os.environ.get(name, "") for name in _ASKED]
    return list(dict.fromkeys(place for place in (*asked, *_USUAL, os.environ.get("XDG_RUNTIME_DIR", "")) if place))


def _made(place: str) -> Path:
    made, held = _locked(place)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(made / _SOCKET))
        (made / _SOCKET).unlink()
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)
        raise
    atexit.register(_remove, made, os.getpid())
    return made


def _locked(place: str) -> tuple[Path, int]:
    """A new folder, and the descriptor by which this process holds its lock."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=os.path.abspath(place)))
        with contextlib.suppress(FileNotFoundError):  # another run has swept it in the moment before it was locked
            held = os.open(made, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_SH)  # on NFS an exclusive one needs a file that can be written
                (made / _MARK).write_text(f"{platform.node()} {os.getpid()}\n")
            except OSError:
                os.close(held)
                shutil.rmtree(made, ignore_errors=True)
                raise
            return made, held


def _remove(made: Path, owner: int) -> None:
    if os.getpid() == owner:  # and no child that was forked from it
        shutil.rmtree(made, ignore_errors=True)


def _sweep() -> None:
    """Remove this user's folders of runs that have ended without doing so."""
    for place in _places():
        for left in _left_in(place):
            with contextlib.suppress(OSError):  # it lives, or another run removes it now
                _remove_if_free(left)


def _left_in(place: str) -> Iterator[Path]:
    """What looks like a run's folder and is this user's."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            named = entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False)
            if named and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                yield Path(entry.path)


def _remove_if_free(left: Path) -> None:
    held = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            machine, _, _ = (left / _MARK).read_text().partition(" ")
        except FileNotFoundError:
            left.rmdir()  # killed as soon as it was made; one with files in it is somebody's own
        else:
            if machine in (platform.node(), ""):  # a folder that is shared need not share its locks
                shutil.rmtree(left)
    finally:
        os.close(held)
