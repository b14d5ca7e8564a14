"""The spool: trials that could not be written to their database, a file each, until they can."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, select

from results import recording
from results.database import Database
from results.location import StoreError, UnwritableError, file_of, place, state_folder
from results.records import Cell, Curve, Environment, Goal, Planned, Run, RunState, Sample, Source, Trial
from results.tables import run

_FORMAT = 1


@dataclass(frozen=True)
class Spooled:
    """What a store could not write, and has kept."""

    files: tuple[Path, ...] = ()
    reason: str = ""  # of the last one

    def __str__(self) -> str:
        return f"{len(self.files)} trial(s) are in {named(self.files)}, not in the database: {self.reason}"


@dataclass(frozen=True)
class Begun:
    """What a database knows of a run before its first trial."""

    run: Run
    plan: Sequence[Planned]
    sources: Sequence[Source]


class Spool:
    """The files of one database: beside it, or with the user's own where that cannot be written."""

    def __init__(self, url: URL) -> None:
        self.folders = _folders(url)

    def put(self, run_id: str, trial: Trial, begun: Begun | None = None) -> Path:
        """Keep a trial; the file that has it. An OSError if no folder takes it.

        `begun`: what its run began with, which is kept too, for a database that will have lost it.
        """
        name = f"{time.time_ns()}-{uuid.uuid4().hex}.json"  # by time: in the order of measuring
        content = {"format": _FORMAT, "run_id": run_id, "trial": asdict(trial)}
        *others, last = self.folders
        for folder in others:
            with suppress(OSError):
                return _keep(folder, name, content, begun)
        return _keep(last, name, content, begun)

    def end(self, run_id: str, state: RunState) -> None:
        """Keep how a run has ended, until it is written. An OSError if no folder takes it."""
        *others, last = self.folders
        content = {"format": _FORMAT, "state": state, "at": time.time()}
        for folder in others:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                _write_whole(folder / f"{run_id}.end", content)
                return
        last.mkdir(parents=True, exist_ok=True)
        _write_whole(last / f"{run_id}.end", content)

    def ends(self) -> list[Path]:
        """The files that say how runs have ended of which no trial waits."""
        return [path for folder in self.folders if not _files(folder, "*.json") for path in _files(folder, "*.end")]

    def waiting(self) -> list[Path]:
        """The files, in the order of measuring."""
        found = [path for folder in self.folders for path in _files(folder, "*.json")]
        return sorted(found, key=lambda path: path.name)


def _files(folder: Path, pattern: str) -> list[Path]:
    """None of a folder that may not be read, such as of another's home."""
    with suppress(OSError):
        return list(folder.glob(pattern))
    return []


def left(spool: Spool) -> list[str]:
    """What a reader should know: nothing if nothing waits."""
    waiting = spool.waiting()
    where = f"{len(waiting)} spooled trial(s) wait in {named(waiting)}"
    return [f"{where}: the next `nodebench run` here takes them in"] if waiting else []


def take_in(database: Database, spool: Spool) -> list[str]:
    """Write what waits, each trial in a transaction of its own; what the user should know of it.

    What cannot be written stays where it is.
    """
    taken, stay = 0, dict[str, list[Path]]()
    waiting = spool.waiting()
    for position, path in enumerate(waiting):
        try:
            run_id, trial = _read(path)
            with database.writing() as connection:
                _begin_missing(connection, run_id, path.parent)
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
    ends = spool.ends()
    for path in ends:
        with suppress(StoreError, OSError, ValueError, TypeError, KeyError):  # then it is tried again
            _end(database, path)
    for folder in spool.folders if waiting or ends else ():
        with suppress(OSError):  # what stays keeps it
            _clear(folder)
    return _notices(database, waiting, taken, stay)


def _end(database: Database, path: Path) -> None:
    """Write how a run has ended, unless somebody has ended it already."""
    content = json.loads(path.read_bytes())
    with database.writing() as connection:
        if connection.scalar(select(run.c.state).where(run.c.id == path.stem)) == "running":
            recording.finish(connection, path.stem, content["state"], at=content["at"])
    path.unlink(missing_ok=True)


def _notices(database: Database, waiting: list[Path], taken: int, stay: dict[str, list[Path]]) -> list[str]:
    if not waiting:
        return []
    said = [f"{taken} spooled trial(s) taken in from {named(waiting)} to {database.place}"] if taken else []
    return said + [f"{len(paths)} spooled trial(s) stay in {named(paths)}: {why}" for why, paths in stay.items()]


def named(paths: Iterable[Path]) -> str:
    """The folders of these files, from the working folder where they are below it."""
    return " and ".join(sorted({_from_here(path.parent) for path in paths}))


def _from_here(folder: Path) -> str:
    with suppress(ValueError, OSError):  # elsewhere; or the working folder is gone
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def _read(path: Path) -> tuple[str, Trial]:
    content = json.loads(path.read_bytes())
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']!r} is not known: update nodebench")
    fields = content["trial"]
    samples = {name: [Sample(**sample) for sample in series] for name, series in fields["samples"].items()}
    curves = {name: Curve(**curve) for name, curve in fields["curves"].items()}
    return content["run_id"], Trial(**{**fields, "samples": samples, "curves": curves})


def _keep(folder: Path, name: str, content: Any, begun: Begun | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if begun and not _file_of_run(folder, begun.run.id).exists():
        _write_whole(_file_of_run(folder, begun.run.id), asdict(begun))
    return _write_whole(folder / name, content)


def _file_of_run(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}.run"


def _begin_missing(connection: Connection, run_id: str, folder: Path) -> None:
    """The run, where the database has lost it and the spool knows it."""
    if connection.scalar(select(run.c.id).where(run.c.id == run_id)) is None and _file_of_run(folder, run_id).exists():
        begun = _read_begun(_file_of_run(folder, run_id))
        recording.begin(connection, begun.run, begun.plan, begun.sources)


def _read_begun(path: Path) -> Begun:
    content = json.loads(path.read_bytes())
    named = content["run"]
    goals = {study: Goal(**goal) for study, goal in named["goals"].items()}
    return Begun(
        Run(**{**named, "environment": Environment(**named["environment"]), "goals": goals}),
        [Planned(one["study"], Cell(**one["cell"])) for one in content["plan"]],
        [Source(**one) for one in content["sources"]],
    )


def _clear(folder: Path) -> None:
    """Remove an empty spool."""
    if not any(folder.glob("*.json")):
        for path in folder.glob("*.run"):
            path.unlink(missing_ok=True)
    folder.rmdir()


def _write_whole(path: Path, content: Any) -> Path:
    """All of the file, on the disk, or nothing of it."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(json.dumps(content).encode())
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
    return path


def _folders(url: URL) -> tuple[Path, ...]:
    path = file_of(url)
    path = Path(os.path.realpath(path)) if path else None  # under all the names that a link gives it
    own = state_folder() / "spool" / hashlib.sha256(os.fsencode(path or place(url))).hexdigest()[:16]
    return (path.with_name(f"{path.name}.spool"), own) if path else (own,)
