"""The lock by which one run at a time measures on a machine: the next run waits, and says for which process."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

_EVERYONE = 0o666  # the first user's run creates the files; other users' runs must be able to lock and sign them
_POLL_S = 0.5


# The same for all who measure here, whatever their TMPDIR is.
_PLACES = (Path("/tmp"), Path("/var/tmp"))


@contextmanager
def turn(what: str, tell: Callable[[str], None], *, places: Sequence[Path] = _PLACES) -> Iterator[None]:
    """Hold the lock while the body measures; if another run holds it, tell which, once, and wait.

    `places`: folders for the lock, of which the first that can be written is taken. The operating system frees the lock
    of a process that dies, however it dies.
    """
    lock = _acquired(places, tell)
    if lock is None:
        yield
        return
    signature = _signature(lock)
    try:
        _sign(signature, what)
        yield
    finally:
        _sign(signature, "")
        lock.release()


def _acquired(places: Sequence[Path], tell: Callable[[str], None]) -> BaseFileLock | None:
    """The acquired lock; None if no file can be locked."""
    refused: list[str] = []
    for place in places:
        if not place.is_dir():  # filelock would make it
            refused.append(f"{place} is no folder")
            continue
        lock = FileLock(place / "nodebench.lock", mode=_EVERYONE)
        try:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                tell(f"{_holder(_signature(lock))} on this machine: waiting until that is done (Ctrl-C to give up)")
                lock.acquire(poll_interval=_POLL_S)
        except OSError as error:
            refused.append(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        else:
            return lock
    tell(f"cannot see whether another run measures here ({'; '.join(refused)}): measuring beside it if so")
    return None


def _signature(lock: BaseFileLock) -> Path:
    """The file in which the holder of the lock signs."""
    return Path(lock.lock_file).with_name("nodebench.measuring")


def _holder(signature: Path) -> str:
    """A description of the run that holds the lock, from its signature if there is one."""
    try:
        signed = json.loads(signature.read_text())
        since = time.strftime("%H:%M:%S", time.localtime(signed["since"]))
        return f"process {signed['pid']} has been measuring {signed['what']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):  # a run signs a moment after it has locked
        return "another process is measuring"


def _sign(signature: Path, what: str) -> None:
    """Sign with this process and what it measures; with an empty `what`, erase the signature."""
    text = json.dumps({"pid": os.getpid(), "what": what, "since": time.time()}) if what else ""
    # Not O_CREAT on a file that is there: in a sticky folder Linux refuses it for another user's file.
    create = 0 if signature.exists() else os.O_CREAT
    with contextlib.suppress(OSError):  # an unsigned lock is a lock
        descriptor = os.open(signature, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | create, _EVERYONE)
        with os.fdopen(descriptor, "w") as file:
            with contextlib.suppress(PermissionError):  # another user's file, whose mode they have set
                os.fchmod(descriptor, _EVERYONE)  # against the umask
            file.write(text)
