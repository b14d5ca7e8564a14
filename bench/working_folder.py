"""The working folder: a place for the user's files, and none to import from.

Python puts it first in the path of `python -m bench` and of each `python -c`, as which multiprocessing starts its fork
server, its resource tracker and spawned workers: a user's `random.py` would be run in place of the standard one.
This module imports what every Python has loaded before it looks there, and nothing else.

Before any code of ours, `python -m bench` itself looks there for `bench` and for `types`, `warnings` and the few others
that Python needs to find a module. The command `nodebench` does not.
"""

import os
import sys

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STANDARD = os.path.dirname(os.__file__)


def leave() -> None:
    """Import nothing from the working folder from now on, here and in all that this process starts.

    For a program of our own. A library leaves the path alone, which is its user's. A checkout of ours that is the
    working folder stays in it.
    """
    end = _end_of_asked()
    sys.path[:end] = _kept(sys.path[:end])
    os.environ.update(variables())


def variables() -> dict[str, str]:
    """The environment variables of a Python that is started to import nothing from the working folder, but us."""
    asked = os.environ.get("PYTHONPATH", "")
    named = _kept(asked.split(os.pathsep)) if asked else []
    if _OURS not in named and _OURS in _kept(sys.path[: _end_of_asked()]):  # by `python -m bench` in a checkout
        named.insert(0, _OURS)
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(named)}


def _end_of_asked() -> int:
    """How many entries of the path stand before the standard library, which they can hide.

    Those after it have been installed, and hide nothing.
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
