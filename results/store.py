"""The store: what a run writes, trial by trial, and what readers see of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from results import frames, rows, schema, summary
from results.database import Database
from results.location import StoreError
from results.records import Cell, Planned, Run, Trial
from results.tables import cell, curve, environment, metric, planned, run, sample, sweep, trial
from results.where import Where

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Store", "StoreError"]

LISTED = 8  # so many cells that share a prefix are named, the others are counted
EVERYTHING = Where()


class Store:
    """The database of measurements. A context manager, which closes its connections."""

    def __init__(self, database: Database, notices: Sequence[str] = ()) -> None:
        self.notices = tuple(notices)  # what opening has done that its user should know
        self.database = database

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Store:
        """Open by SQLAlchemy URL, or by path for SQLite. Without `create` no file is made."""
        database = Database(url, create=create)
        try:
            upgraded = schema.ensure(database, create=create)
        except StoreError:
            database.close()
            raise
        return cls(database, [upgraded] if upgraded else [])

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def begin(self, started: Run, plan: Sequence[Planned]) -> None:
        """Write down what a run sets out to measure, and where. Its state is `running` until `finish`."""
        with self.database.writing() as connection:
            sweep_row = rows.sweep_row(started)
            _insert_missing(connection, sweep, [sweep_row])
            _insert_missing(connection, environment, [rows.environment_row(started)])
            _insert_missing(connection, cell, rows.cell_rows(plan))
            sweep_id = connection.scalars(select(sweep.c.id).where(sweep.c.sha == sweep_row["sha"])).one()
            _insert(connection, run, [rows.run_row(started, sweep_id=sweep_id)])
            _insert(connection, planned, rows.planned_rows(started.id, plan))

    def record(self, run_id: str, measured: Trial) -> None:
        """Write a trial with all that it measured, or nothing of it."""
        with self.database.writing() as connection:
            new_trial = insert(trial).values(rows.trial_row(run_id, measured)).returning(trial.c.id)
            trial_id = connection.scalars(new_trial).one()
            _insert(connection, metric, rows.metric_rows(measured, trial_id=trial_id))
            _insert(connection, sample, rows.sample_rows(measured, trial_id=trial_id))
            _insert(connection, curve, rows.curve_rows(measured, trial_id=trial_id))
            summary.refresh(connection, run_id, measured.cell_key)

    def finish(self, run_id: str, *, state: str) -> None:
        """Close a run as `complete` or `interrupted`."""
        if state not in ("complete", "interrupted"):
            raise ValueError(f"unknown state {state!r}: a run ends as 'complete' or 'interrupted'")
        with self.database.writing() as connection:
            ended = update(run).where(run.c.id == run_id).values(state=state, finished_at=time.time())
            if connection.execute(ended).rowcount == 0:
                raise StoreError(f"no run {run_id!r} in this database: begin it first")

    def recorded(self, fingerprint: str, cell_keys: Collection[str]) -> dict[str, dict[tuple[str, int], str]]:
        """Status by (kind, process_index) by cell, over all runs in the environment.

        An interrupted trial is left out: it must be measured again.
        """
        newest = frames.newest_trials(Where(fingerprint=fingerprint, cell_key=cell_keys))
        query = select(newest.c.cell_key, newest.c.kind, newest.c.process_index, newest.c.status)
        statuses: dict[str, dict[tuple[str, int], str]] = {}
        with self.database.reading() as connection:
            for key, kind, process_index, status in connection.execute(query.where(newest.c.status != "interrupted")):
                statuses.setdefault(key, {})[kind, process_index] = status
        return statuses

    def cell(self, key: str) -> Cell | None:
        """The cell whose key is or begins so; None if there is none."""
        query = select(cell).where(cell.c.key.startswith(key, autoescape=True)).order_by(cell.c.key)
        with self.database.reading() as connection:
            found = [rows.cell_of(row._asdict()) for row in connection.execute(query)]
        if len(found) > 1:
            raise StoreError(f"{len(found)} cells begin with {key!r}: add digits. {_listed(found)}")
        return found[0] if found else None

    def runs(self) -> DataFrame:
        """Every run with its sweep's name and text, its environment's fingerprint and facts; oldest first."""
        return self._frame(frames.runs())

    def cells(self, where: Where = EVERYTHING) -> DataFrame:
        """The cells by key, one a row; with a condition on runs, those that such runs planned."""
        return self._frame(frames.cells(where))

    def planned(self, where: Where = EVERYTHING) -> DataFrame:
        """Study, run_id, cell_key and the cell's fields, in the sweep's order."""
        return self._frame(frames.plans(where))

    def summary(self, where: Where = EVERYTHING) -> DataFrame:
        """What each run measured of each cell, one wide row each: fields, status, medians."""
        return self._frame(frames.summaries(where))

    def trials(self, where: Where = EVERYTHING) -> DataFrame:
        """The newest trials."""
        return self._frame(frames.trials(where))

    def metrics(self, where: Where = EVERYTHING) -> DataFrame:
        """The newest trials' metrics, one a row; not-a-number is NaN."""
        return self._frame(frames.measured(metric, where))

    def samples(self, where: Where = EVERYTHING) -> DataFrame:
        """The newest trials' samples, one a row."""
        return self._frame(frames.measured(sample, where))

    def curves(self, where: Where = EVERYTHING) -> DataFrame:
        """The newest trials' curves, one a row: x is an array of shape (n,), y of shape (n, d)."""
        return frames.unpack(self._frame(frames.measured(curve, where)))

    def _frame(self, query: Select[Any]) -> DataFrame:
        with self.database.reading() as connection:
            return frames.frame(connection, query)


def _insert_missing(connection: Connection, table: Table, table_rows: list[rows.Row]) -> None:
    """Insert the rows whose key is not there yet. In one order for all writers, who would wait for each other else."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    ordered = sorted(table_rows, key=lambda row: str(next(iter(row.values()))))
    if ordered:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), ordered)


def _insert(connection: Connection, table: Table, table_rows: list[rows.Row]) -> None:
    if table_rows:
        connection.execute(insert(table), table_rows)


def _listed(cells: Sequence[Cell]) -> str:
    named = "; ".join(f"{one.key}: {one.label}" for one in cells[:LISTED])
    return named if len(cells) <= LISTED else f"{named}; and {len(cells) - LISTED} more"
