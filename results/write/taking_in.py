"""The taking in of spooled trials, which writes them into their database."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from results.engine.database import Database
from results.engine.location import UnwritableError
from results.schema import rules
from results.schema.tables import run
from results.write import recording
from results.write.spool import Spool, begin_missing, named, read


@dataclass(frozen=True)
class TakenIn:
    """The outcome of taking in spooled trials."""

    count: int = 0  # trials that are in the database now
    files: Sequence[Path] = ()  # that held them
    stay: Mapping[str, Sequence[Path]] = field(default_factory=dict)  # files that stay in the spool, by the reason

    def then(self, later: "TakenIn") -> "TakenIn":
        """The outcome together with that of a later attempt, in which the trials that stayed were tried again."""
        return TakenIn(self.count + later.count, (*self.files, *later.files), later.stay)

    def notices(self, place: str) -> list[str]:
        """The notices for the user: a line for all trials that were taken in, and a line for each reason to stay."""
        came = f"{self.count} spooled trial(s) taken in from {named(self.files)} to {place}"
        stays = (f"{len(paths)} spooled trial(s) stay in {named(paths)}: {why}" for why, paths in self.stay.items())
        return [*([came] if self.count else []), *stays]


def take_in(database: Database, spool: Spool) -> TakenIn:
    """Write the spooled trials, each in a transaction of its own. Trials that cannot be written stay there."""
    taken, stay, of_runs = list[Path](), dict[str, list[Path]](), Counter[str]()
    waiting, unwritable = spool.waiting(), False
    for position, path in enumerate(waiting):
        try:
            run_id, trial = read(path)
            of_runs[run_id] += 1
            with database.writing() as connection:
                begin_missing(connection, run_id, path.parent)
                recording.record_missing(connection, run_id, trial)
            path.unlink(missing_ok=True)
            taken.append(path)
            of_runs[run_id] -= 1
        except FileNotFoundError:
            continue  # another process was faster
        except UnwritableError as error:
            stay.setdefault(str(error), []).extend(waiting[position:])
            unwritable = True
            break
        except Exception as error:  # noqa: BLE001  (any error is caused by the content of the file)
            stay.setdefault(f"{error or type(error).__name__}", []).append(path)
    ends = [] if unwritable else [path for path in spool.ends() if not of_runs[path.stem]]
    for path in ends:
        with suppress(Exception):  # whatever the file contains: it is tried again later
            _end(database, path)
    if waiting or ends:
        spool.clear()
    return TakenIn(len(taken), taken, stay)


def notices_of_waiting(spool: Spool) -> list[str]:
    """A notice for a reader about the spooled trials; an empty list if there are none."""
    waiting = spool.waiting()
    where = f"{len(waiting)} spooled trial(s) wait in {named(waiting)}"
    return [f"{where}: the next `nodebench run` here takes them in"] if waiting else []


def _end(database: Database, path: Path) -> None:
    """Write the end of a run, unless it has ended already."""
    content = json.loads(path.read_bytes())
    rules.check(run, [{"id": path.stem, "state": content["state"], "finished_at": content["at"]}])
    with database.writing() as connection:
        found = connection.execute(select(run.c.state, run.c.finished_at).where(run.c.id == path.stem)).first()
        if found and (found.state == "running" or found.finished_at is None):  # else its end is known
            recording.finish(connection, path.stem, content["state"], at=content["at"])
    path.unlink(missing_ok=True)
