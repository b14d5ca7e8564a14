"""The trials that a row of `summary` is made of: those that were valid for a cell in an environment after a run.

A run that continues an interrupted one shares a row with it, under the later run's id. When a kind of trial is measured
again, a new row begins; the trials of the other kinds are in it too, if they measured the same code.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, select

from results.schema.tables import run, source, trial

_CODE = ("library", "adapter", "problem")  # facts that are the same for every kind
_ROWS = 10_000  # in memory at a time
_ORDER = (run.c.fingerprint, trial.c.cell_key, run.c.sequence, run.c.started_at, run.c.id, trial.c.id)
_COLUMNS = (
    *(run.c.fingerprint, trial.c.cell_key, trial.c.run_id, trial.c.kind, trial.c.process_index, trial.c.series),
    *(trial.c.id, run.c.git_revision, run.c.git_dirty, trial.c.source),
    *(source.c.facts[name].as_string() for name in _CODE),
)


class Ended(NamedTuple):
    """A trial that has ended: it measured its cell, or failed."""

    fingerprint: str
    cell_key: str
    run_id: str
    kind: str
    process_index: int
    series: str
    id: int
    code: tuple[Any, ...]  # equal where trials of different kinds measured the same code

    @property
    def place(self) -> tuple[str, str]:
        """The environment and the cell, whose rows follow each other in time."""
        return self.fingerprint, self.cell_key


@dataclass
class Members:
    """The trials of one row of `summary`."""

    place: tuple[str, str]
    runs: list[str] = field(default_factory=list)  # ids of the runs that measured them, the newest last
    code: tuple[Any, ...] = ()
    measured: set[str] = field(default_factory=set)  # kinds of trial that these runs measured
    series: dict[str, str] = field(default_factory=dict)  # by kind
    trials: dict[tuple[str, int], int] = field(default_factory=dict)  # the newest trial's row, by kind and process

    @property
    def run_id(self) -> str:
        """The id of the row's run: the newest of its runs."""
        return self.runs[-1]

    def takes(self, run: list[Ended]) -> bool:
        """Whether the run's trials belong to the row: they are of its code, and begin no newer series of a kind."""
        return self.code == run[-1].code and not any(
            one.kind in self.measured and self.series[one.kind] != one.series for one in run
        )

    def next(self, code: tuple[Any, ...]) -> "Members":
        """The next row of the same cell, which starts with this row's trials if they are of the same code."""
        if code != self.code:
            return Members(self.place, code=code)
        return Members(self.place, code=code, series=dict(self.series), trials=dict(self.trials))

    def add(self, run: list[Ended]) -> None:
        """Add the trials of a run, in the order of recording."""
        self.runs.append(run[0].run_id)
        for one in run:
            if self.series.get(one.kind) != one.series:
                self.series[one.kind] = one.series
                self.trials = {key: id_ for key, id_ in self.trials.items() if key[0] != one.kind}
            self.measured.add(one.kind)
            self.trials[one.kind, one.process_index] = one.id


def members(connection: Connection, of: ColumnElement[bool]) -> Iterator[list[Members]]:
    """The rows of each cell and environment whose trials meet the condition: either all of them do, or none."""
    return _grouped(connection.execute(_ENDED.where(of).execution_options(yield_per=_ROWS)))


def members_of(connection: Connection, fingerprint: str, cell_key: str) -> list[Members]:
    """The rows of one cell in one environment."""
    of_place = {"of_environment": fingerprint, "of_cell": cell_key}
    return next(_grouped(connection.execute(_ENDED_OF_PLACE, of_place).all()), [])


def _grouped(found: Iterable[Any]) -> Iterator[list[Members]]:
    for _, of_place in groupby(_ended(found), key=attrgetter("place")):
        rows: list[Members] = []
        for _, group in groupby(of_place, key=attrgetter("run_id")):
            of_run = list(group)
            if not rows:
                rows.append(Members(of_run[0].place, code=of_run[-1].code))
            elif not rows[-1].takes(of_run):
                rows.append(rows[-1].next(of_run[-1].code))
            rows[-1].add(of_run)
        yield rows


def _ended(found: Iterable[Any]) -> Iterator[Ended]:
    for place, key, of_run, kind, process, series, id_, revision, dirty, known, *facts in found:
        code = tuple(facts) if known else (revision, dirty)  # an older nodebench recorded no more
        yield Ended(place, key, of_run, kind, process, series or of_run, id_, code)


# In the order of recording, by cell and environment. A twin measures the noise of its block, not its cell.
_ENDED = (
    select(*_COLUMNS)
    .join_from(trial, run)
    .outerjoin(source)
    .where(trial.c.status != "interrupted", trial.c.kind != "twin")
    .order_by(*_ORDER)
)
_ENDED_OF_PLACE = _ENDED.where(
    run.c.fingerprint == bindparam("of_environment"), trial.c.cell_key == bindparam("of_cell")
)
