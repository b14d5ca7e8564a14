"""The runs of a database: which are still running, and the end of those whose process has died."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from results.engine.location import StoreError
from results.read import lookup
from results.schema.tables import lease, run, sweep, trial
from results.store import Store
from results.write import recording
from results.write.leases import Holder, holders

_SILENT_S = 86_400.0  # a trial may take hours: a run without a new trial for a day is taken for dead


@dataclass(frozen=True)
class RunLine:
    """A run, as a line of a list shows it."""

    id: str
    sweep: str
    fingerprint: str
    state: str
    started_at: float
    heard_at: float  # start of its last trial, or its own, seconds since the epoch
    trials: int
    holder: Holder | None = None  # the process that measures it, of a run that is running
    lives: bool = False  # whether that process is alive, as far as can be known from here

    @property
    def dead(self) -> bool:
        """Whether the run is written as running, and its process is known to have ended."""
        return self.state == "running" and self.holder is not None and not self.lives


def listed(store: Store, *, newest: int | None = None) -> list[RunLine]:
    """The runs, the newest first; at most `newest` of them."""
    of_run = trial.c.run_id == run.c.id
    heard = func.coalesce(select(func.max(trial.c.started_at)).where(of_run).scalar_subquery(), run.c.started_at)
    count = select(func.count()).where(of_run).scalar_subquery()
    columns = (run.c.id, sweep.c.name, run.c.fingerprint, run.c.state, run.c.started_at, heard, count)
    query = select(*columns).join_from(run, sweep).order_by(*lookup.NEWEST_RUN_FIRST).limit(newest)
    with store.database.reading() as connection:
        held = holders(connection, now=store.database.now(connection))
        rows = connection.execute(query).all()
    return [RunLine(*row, *held.get(row[0], (None, False))) for row in rows]


def close(store: Store, starts: Sequence[str]) -> list[str]:
    """End the runs whose ids begin with `starts` as interrupted; if it is empty, all whose process has surely ended.

    Returns their ids. A StoreError, and no run is ended, if one of those asked for is alive or has ended already.
    """
    lines = {line.id: line for line in listed(store)}
    with store.database.writing() as connection:
        asked = [lookup.run_id(connection, start) for start in starts]
        for line in (lines[one] for one in asked if one in lines):
            if line.state != "running":
                raise StoreError(f"run {line.id[:8]} has ended already ({line.state}): leave it out")
            if line.lives:
                raise StoreError(f"run {line.id[:8]} goes on ({line.holder}): end that process first")
            if line.holder is None and time.time() - line.heard_at < _SILENT_S:
                raise StoreError(
                    f"run {line.id[:8]} may go on, as it was heard of within a day: end its process, and try in a day"
                )
        ended = asked or [line.id for line in lines.values() if line.dead]
        for one in ended:
            _close(connection, one)
    return ended


def _close(connection: Connection, run_id: str) -> None:
    connection.execute(lease.delete().where(lease.c.run_id == run_id))
    recording.finish(connection, run_id, "interrupted")
