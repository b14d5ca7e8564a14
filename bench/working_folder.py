"""The working folder in the import path, where it must not stay: it holds the user's files.

Python puts it first in the path of `python -m bench` and of each `python -c`, which is how multiprocessing starts its
fork server, its resource tracker and spawned workers: a user's `random.py` would run in place of the standard one.
This module imports only what every Python has loaded before it looks there.

Before any code of ours, `python -m bench` itself looks there for `bench` and for `types`, `warnings` and the few others
that Python needs to find a module. The command `nodebench` does not.
"""

import os
import sys

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STANDARD = os.path.dirname(os.__file__)


def leave_import_path() -> None:
    """Import nothing from the working folder from now on, in this process and in those that it starts.

    Only our own programs may call this: the path of a library's user is left alone. If the working folder is a checkout
    of ours, it stays in the path.
    """
    end = _end_of_asked()
    sys.path[:end] = _kept(sys.path[:end])
    os.environ.update(variables())


def variables() -> dict[str, str]:
    """The environment variables for a Python that imports nothing from the working folder except our own packages."""
    asked = os.environ.get("PYTHONPATH", "")
    named = _kept(asked.split(os.pathsep)) if asked else []
    if _OURS not in named and _OURS in _kept(sys.path[: _end_of_asked()]):  # by `python -m bench` in a checkout
        named.insert(0, _OURS)
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(named)}


def _end_of_asked() -> int:
    """The number of entries of the path before the standard library, which they can hide.

    The entries after it are of installed packages, and hide nothing.
    """
    return sys.path.index(_STANDARD) if _STANDARD in sys.path else len(sys.path)


def _kept(entries: list[str]) -> list[str]:
    ours = _is_here(_OURS)
    return [_OURS if _is_here(entry) else entry for entry in entries if ours or not _is_here(entry)]


def _is_here(entry: str) -> bool:
    if entry in ("", os.curdir):
        return True
    try:
        return os.path.samefile(entry, os.curdir)
    except OSError:  # there is no such entry, or no working folder
        return False
