"""The spool: files of trials that could not be written to their database, until they can be."""

import hashlib
import json
import os
import shlex
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, select

from results.engine.database import Database
from results.engine.drafts import drafted
from results.engine.location import file_of, place, state_folder
from results.records import Cell, Curve, Environment, Goal, Planned, Run, RunState, Sample, Source, Trial
from results.schema import versions as schema
from results.schema.tables import run
from results.write import recording

_FORMAT = 1
_PLACE = "database"  # the file that names the database of a folder


@dataclass(frozen=True)
class Spooled:
    """The trials that a store could not write, and has kept in files."""

    files: tuple[Path, ...] = ()
    reason: str = ""  # why the last one could not be written

    def __str__(self) -> str:
        return f"{len(self.files)} trial(s) are in {named(self.files)}, not in the database: {self.reason}"


@dataclass(frozen=True)
class Begun:
    """The beginning of a run, as a database knows it before the first trial."""

    run: Run
    plan: Sequence[Planned]
    sources: Sequence[Source]


class Spool:
    """The spooled files of a database: beside it, or in the user's own folder if that cannot be written.

    In the user's own folder they are found by the database's identity, whatever URL it is opened by.
    """

    def __init__(self, url: URL, identity: str) -> None:
        self.place, before = _named_as(url)
        beside = [Path(f"{self.place}.spool")] if file_of(url) else []
        self._own = _all_spools() / (identity or before)
        self.folders = (*beside, self._own)
        # Before databases had an identity, the spelling of the URL decided.
        self._read = tuple(dict.fromkeys((*self.folders, _all_spools() / before)))

    @classmethod
    def of(cls, database: Database) -> "Spool":
        """The spool of a database."""
        return cls(database.url, schema.identity(database))

    def put(self, run_id: str, trial: Trial, begun: Begun | None = None) -> Path:
        """Spool a trial; the file that holds it. An OSError if no folder takes the file.

        `begun`: the beginning of its run, which is spooled too, in case the database loses the run.
        """
        name = f"{time.time_ns()}-{uuid.uuid4().hex}.json"  # by time: in the order of measuring
        content = {"format": _FORMAT, "run_id": run_id, "trial": asdict(trial)}
        return self._written(lambda folder: _write_trial(folder, name, content, begun))

    def end(self, run_id: str, state: RunState) -> None:
        """Spool the end of a run. An OSError if no folder takes the file."""
        content = {"format": _FORMAT, "state": state, "at": time.time()}
        self._written(lambda folder: _write_whole(folder / f"{run_id}.end", content))

    def _written(self, write: Callable[[Path], Path]) -> Path:
        """The file that `write` has written into the first folder that takes it."""
        *others, last = self.folders
        for folder in others:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                return write(folder)
        last.mkdir(parents=True, exist_ok=True)
        _write_whole(last / _PLACE, {"format": _FORMAT, "place": self.place})
        return write(last)

    def ends(self) -> list[Path]:
        """The files with the ends of runs."""
        return [path for folder in self._read for path in _files(folder, "*.end")]

    def waiting(self) -> list[Path]:
        """The files of spooled trials, in the order of measuring."""
        found = [path for folder in self._read for path in _files(folder, "*.json")]
        return sorted(found, key=lambda path: path.name)

    def clear(self) -> None:
        """Remove the spool's folders in which no trial waits."""
        for folder in self._read:
            with suppress(OSError):  # the folder is not empty
                _clear(folder)

    def notices_of_others(self) -> list[str]:
        """Notices of trials that were spooled for another database at the same place."""
        said = []
        for note in _files(_all_spools(), f"*/{_PLACE}"):
            waiting = _files(note.parent, "*.json") if note.parent not in self._read else []
            if waiting and _place_in(note) == self.place:
                count, own = len(waiting), shlex.quote(str(self._own))
                moved = f"mkdir -p {own} && mv {shlex.quote(str(note.parent))}/* {own}"
                said.append(f"{count} spooled trial(s) are of another database that was here: to take them in, {moved}")
        return said


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder; none if the folder cannot be read, such as another user's home."""
    with suppress(OSError):
        return list(folder.glob(pattern))
    return []


def named(paths: Iterable[Path]) -> str:
    """The folders of the files as a text, relative to the working folder if they are below it."""
    return " and ".join(sorted({_relative(path.parent) for path in paths}))


def _relative(folder: Path) -> str:
    with suppress(ValueError, OSError):  # it is elsewhere, or the working folder is gone
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def read(path: Path) -> tuple[str, Trial]:
    """The run's id and the trial in a file. A ValueError, KeyError, TypeError or AttributeError if it has none."""
    content = json.loads(path.read_bytes())
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']!r} is not known: update nodebench")
    fields = content["trial"]
    samples = {name: [Sample(**sample) for sample in series] for name, series in fields["samples"].items()}
    curves = {name: Curve(**curve) for name, curve in fields["curves"].items()}
    return content["run_id"], Trial(**{**fields, "samples": samples, "curves": curves})


def _write_trial(folder: Path, name: str, content: Any, begun: Begun | None) -> Path:
    if begun and not _file_of_run(folder, begun.run.id).exists():
        _write_whole(_file_of_run(folder, begun.run.id), asdict(begun))
    return _write_whole(folder / name, content)


def _file_of_run(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}.run"


def begin_missing(connection: Connection, run_id: str, folder: Path) -> None:
    """Write from the spool what the database has lost of a run: its whole beginning, or the pruned part."""
    if _file_of_run(folder, run_id).exists():
        begun = _read_begun(_file_of_run(folder, run_id))
        if connection.scalar(select(run.c.id).where(run.c.id == run_id)) is None:
            recording.begin(connection, begun.run, begun.plan, begun.sources)
        else:
            recording.ensure(connection, begun.plan, begun.sources)


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
    """Remove a folder in which no trial is spooled."""
    if not any(folder.glob("*.json")):
        for path in (*folder.glob("*.run"), folder / _PLACE):
            path.unlink(missing_ok=True)
    folder.rmdir()


def _write_whole(path: Path, content: Any) -> Path:
    """Write the content as JSON, whole and on the disk, or not at all; the path."""
    with drafted(path, durable=True) as draft:
        draft.write_bytes(json.dumps(content).encode())
    return path


def _all_spools() -> Path:
    return state_folder() / "spool"


def _named_as(url: URL) -> tuple[str, str]:
    """A database's name, which is the real path of a file, and a hash of that name."""
    path = file_of(url)
    said = os.path.realpath(path) if path else place(url)
    return said, hashlib.sha256(os.fsencode(said)).hexdigest()[:16]


def _place_in(note: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(note.read_bytes())["place"])
    return ""
