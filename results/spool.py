"""The spool: trials that could not be written to their database, a file each, until they can."""

import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import URL

from results import recording
from results.database import Database
from results.location import StoreError, UnwritableError, file_of, place
from results.records import Curve, Sample, Trial

_FORMAT = 1


@dataclass(frozen=True)
class Spooled:
    """What a store could not write, and has kept."""

    files: tuple[Path, ...] = ()
    reason: str = ""  # of the last one

    def __str__(self) -> str:
        return f"{len(self.files)} trial(s) are in {named(self.files)}, not in the database: {self.reason}"


class Spool:
    """The files of one database: beside it, or with the user's own where that cannot be written."""

    def __init__(self, url: URL) -> None:
        self.folders = _folders(url)

    def put(self, run_id: str, trial: Trial) -> Path:
        """Keep a trial; the file that has it. An OSError if no folder takes it."""
        name = f"{time.time_ns()}-{uuid.uuid4().hex}.json"  # by time: in the order of measuring
        content = json.dumps({"format": _FORMAT, "run_id": run_id, "trial": asdict(trial)}).encode()
        refused = OSError("a database in memory has no spool")
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write_whole(folder / name, content)
            except OSError as error:
                refused = error
            else:
                return folder / name
        raise refused

    def waiting(self) -> list[Path]:
        """The files, in the order of measuring; none of a folder that may not be read, such as of another's home."""
        found: list[Path] = []
        for folder in self.folders:
            with suppress(OSError):
                found += folder.glob("*.json")
        return sorted(found, key=lambda path: path.name)


def left(spool: Spool) -> str:
    """What a reader should know: empty if nothing waits."""
    waiting = spool.waiting()
    if not waiting:
        return ""
    return f"{len(waiting)} spooled trial(s) wait in {named(waiting)}: the next `nodebench run` here takes them in"


def take_in(database: Database, spool: Spool) -> tuple[str, ...]:
    """Write what waits, each trial in a transaction of its own; what the user should know of it.

    What cannot be written stays where it is.
    """
    taken, stay = 0, dict[str, list[Path]]()
    waiting = spool.waiting()
    for position, path in enumerate(waiting):
        try:
            run_id, trial = _read(path)
            with database.writing() as connection:
                recording.record_missing(connection, run_id, trial)
            path.unlink(missing_ok=True)
            taken += 1
        except FileNotFoundError:
            continue  # another process has been faster
        except UnwritableError as error:
            stay.setdefault(str(error), []).extend(waiting[position:])
            break
        except (StoreError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            stay.setdefault(str(error), []).append(path)
    for folder in spool.folders if waiting else ():
        with suppress(OSError):  # what stays keeps it
            folder.rmdir()
    return tuple(_notices(database, waiting, taken, stay))


def _notices(database: Database, waiting: list[Path], taken: int, stay: dict[str, list[Path]]) -> list[str]:
    if not waiting:
        return []
    said = [f"{taken} spooled trial(s) taken in from {named(waiting)} to {database.place}"] if taken else []
    return said + [f"{len(paths)} spooled trial(s) stay in {named(paths)}: {why}" for why, paths in stay.items()]


def named(paths: Iterable[Path]) -> str:
    """The folders of these files."""
    return " and ".join(sorted({str(path.parent) for path in paths}))


def _read(path: Path) -> tuple[str, Trial]:
    content = json.loads(path.read_bytes())
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']!r} is not known: update nodebench")
    fields = content["trial"]
    samples = {name: [Sample(**sample) for sample in series] for name, series in fields["samples"].items()}
    curves = {name: Curve(**curve) for name, curve in fields["curves"].items()}
    return content["run_id"], Trial(**{**fields, "samples": samples, "curves": curves})


def _write_whole(path: Path, content: bytes) -> None:
    """All of the file, on the disk, or nothing of it."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every system can
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _folders(url: URL) -> tuple[Path, ...]:
    path = file_of(url)
    if path is None and url.get_backend_name() == "sqlite":
        return ()  # in memory: it ends with its process
    named = str(path.resolve()) if path else place(url)
    own = _state() / "nodebench" / "spool" / hashlib.sha256(named.encode()).hexdigest()[:16]
    return (path.with_name(f"{path.name}.spool"), own) if path else (own,)


def _state() -> Path:
    """Where the user's programs keep what is no setting and no document."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"))
    return folder if folder.is_absolute() else Path(tempfile.gettempdir())  # some have no home
