"""The folder of a run's temporary files: sockets, logs, recorded allocations. A killed run's is removed by the next."""

import atexit
import os
import socket
from functools import cache
from pathlib import Path

from bench.failure import UsageError
from results.engine.held_folder import HeldFolder, remove_abandoned

_PREFIX = "nodebench-run-"
_ASKED = ("TMPDIR", "TEMP", "TMP")  # in the order of tempfile
_USUAL = ("/tmp", "/var/tmp", "/usr/tmp", "/dev/shm")
_SOCKET = "listener-12345678"  # as long as the names that multiprocessing makes


@cache
def folder() -> Path:
    """This process's temporary folder, made when it is first asked for and removed when the process ends.

    It lies in TMPDIR if files can be written there and the path leaves room for a socket's, which has some 100 bytes at
    most. Otherwise it lies in another of the system's folders; a UsageError if none of them is usable.
    """
    for place in _places():
        remove_abandoned(place, _PREFIX)
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
    made = HeldFolder.made(place, _PREFIX)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(made.path / _SOCKET))
        (made.path / _SOCKET).unlink()
    except OSError:
        made.remove()
        raise
    atexit.register(made.remove)
    return made.path
