"""One measuring run at a time on a machine: the next one waits its turn, and says for whom."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

_EVERYONE = 0o666  # whoever measures first makes the files; others must be able to lock and to sign them
_POLL_S = 0.5


# The same for all who measure here, whatever their TMPDIR is.
_PLACES = (Path("/tmp"), Path("/var/tmp"))


@contextmanager
def turn(what: str, told: Callable[[str], None], *, places: Sequence[Path] = _PLACES) -> Iterator[None]:
    """Hold the machine while the body measures; if another run has it, tell who, once, and wait.

    `places`: folders for the lock, of which the first that can be written is taken. The operating system frees the lock
    of a process that dies, however it dies.
    """
    lock = _acquired(places, told)
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


def _acquired(places: Sequence[Path], told: Callable[[str], None]) -> BaseFileLock | None:
    """The lock, held; None where no file can be locked."""
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
                told(f"{_holder(_signature(lock))} on this machine: waiting until that is done (Ctrl-C to give up)")
                lock.acquire(poll_interval=_POLL_S)
        except OSError as error:
            refused.append(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        else:
            return lock
    told(f"cannot see whether another run measures here ({'; '.join(refused)}): measuring beside it if so")
    return None


def _signature(lock: BaseFileLock) -> Path:
    """The file in which who holds the lock says so."""
    return Path(lock.lock_file).with_name("nodebench.measuring")


def _holder(signature: Path) -> str:
    """Who measures now, as far as it has signed."""
    try:
        signed = json.loads(signature.read_text())
        since = time.strftime("%H:%M:%S", time.localtime(signed["since"]))
        return f"process {signed['pid']} has been measuring {signed['what']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):  # it signs a moment after it has locked
        return "another process is measuring"


def _sign(signature: Path, what: str) -> None:
    """Write down who measures what; with nothing to measure, nothing."""
    text = json.dumps({"pid": os.getpid(), "what": what, "since": time.time()}) if what else ""
    # Not O_CREAT on a file that is there: in a sticky folder Linux refuses it for another user's file.
    create = 0 if signature.exists() else os.O_CREAT
    with contextlib.suppress(OSError):  # an unsigned lock is a lock
        descriptor = os.open(signature, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | create, _EVERYONE)
        with os.fdopen(descriptor, "w") as file:
            with contextlib.suppress(PermissionError):  # of another user, who has seen to it
                os.fchmod(descriptor, _EVERYONE)  # against the umask
            file.write(text)
