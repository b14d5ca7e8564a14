"""The writing of a run: its beginning, its trials, its end. Each function is a part of a transaction."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from results.engine.location import StoreError
from results.records import NoiseFloor, Planned, Run, RunState, Source, Trial
from results.schema import rows, rules, summary
from results.schema.tables import (
    cell,
    curve,
    environment,
    metric,
    noise_floor,
    planned,
    run,
    sample,
    source,
    sweep,
    trial,
)


def begin(connection: Connection, started: Run, plan: Sequence[Planned], sources: Iterable[Source]) -> None:
    """Write the run, with new sweeps, environments, cells and sources; its number follows those of all runs.

    Two runs that begin at once on a server may get the same number: neither is the later one.
    """
    sweep_row = rows.sweep_row(started)
    insert_missing(connection, sweep, [sweep_row])
    insert_missing(connection, environment, [rows.environment_row(started)])
    ensure(connection, plan, sources)
    sequence = (connection.scalar(select(func.max(run.c.sequence))) or 0) + 1
    sweep_id = connection.scalars(select(sweep.c.id).where(sweep.c.sha == sweep_row["sha"])).one()
    insert_new(connection, run, [rows.run_row(started, sweep_id=sweep_id, sequence=sequence)])
    insert_new(connection, planned, rows.planned_rows(started.id, plan))


def ensure(connection: Connection, plan: Sequence[Planned], sources: Iterable[Source]) -> None:
    """Write the cells and sources of a run that are missing: they may have been pruned since it began."""
    insert_missing(connection, cell, rows.cell_rows(plan), hashed=True)
    insert_missing(connection, source, rows.source_rows(sources))


def record(connection: Connection, run_id: str, measured: Trial) -> None:
    """Write a trial with all that it measured, and the summary of its cell."""
    fingerprint = _lock(connection, run_id, measured.cell_key)
    _insert_trial(connection, fingerprint, run_id, measured)


def finish(connection: Connection, run_id: str, state: RunState, *, at: float | None = None) -> None:
    """Write the end of a run: now, or at that time, in seconds since the epoch."""
    ended = update(run).where(run.c.id == run_id).values(state=state, finished_at=time.time() if at is None else at)
    if connection.execute(ended).rowcount == 0:
        raise StoreError(f"no run {run_id!r} in this database: begin it first")


def record_floors(connection: Connection, run_id: str, floors: Sequence[NoiseFloor]) -> None:
    """Write the noise floors of a block."""
    insert_new(connection, noise_floor, [{"run_id": run_id, **asdict(floor)} for floor in floors])


def record_missing(connection: Connection, run_id: str, measured: Trial) -> None:
    """Write a trial unless it is there: a process may have been killed right after it wrote the trial."""
    fingerprint = _lock(connection, run_id, measured.cell_key)
    row = rows.trial_row(run_id, measured)
    key = [trial.c[name] == row[name] for name in ("run_id", "cell_key", "kind", "process_index")]
    if connection.scalar(select(trial.c.id).where(*key)) is None:
        _insert_trial(connection, fingerprint, run_id, measured)


def insert_missing(connection: Connection, table: Table, table_rows: list[rows.Row], *, hashed: bool = False) -> int:
    """Insert the rows whose key is new; their number. They are sorted, or two processes could deadlock."""
    rules.check(table, table_rows, hashed=hashed)
    ordered = sorted(table_rows, key=lambda row: str(next(iter(row.values()))))
    return connection.execute(insertion_of_missing(connection, table), ordered).rowcount if ordered else 0


def insertion_of_missing(connection: Connection, table: Table) -> Any:
    """The insertion that leaves existing rows unchanged, by the engine's own statement."""
    dialect: Any = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    return dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _lock(connection: Connection, run_id: str, cell_key: str) -> str:
    """Lock the cell against other writers, not against readers; the fingerprint of the run's environment."""
    fingerprint = connection.scalar(_ENVIRONMENT, {"of_run": run_id})
    if fingerprint is None:
        raise StoreError(f"no run {run_id!r} in this database: begin it first")
    summary.lock(connection, [cell_key])
    return str(fingerprint)


def _insert_trial(connection: Connection, fingerprint: str, run_id: str, measured: Trial) -> None:
    row = rows.trial_row(run_id, measured)
    rules.check(trial, [row])
    trial_id = connection.scalars(_NEW_TRIAL, row).one()
    insert_new(connection, metric, rows.metric_rows(measured, trial_id=trial_id))
    insert_new(connection, sample, rows.sample_rows(measured, trial_id=trial_id))
    insert_new(connection, curve, rows.curve_rows(measured, trial_id=trial_id), hashed=True)
    summary.refresh(connection, fingerprint, run_id, measured.cell_key)


def insert_new(connection: Connection, table: Table, table_rows: list[rows.Row], *, hashed: bool = False) -> None:
    """Insert rows that meet the rules of their table."""
    rules.check(table, table_rows, hashed=hashed)
    if table_rows:
        connection.execute(insert(table), table_rows)


_ENVIRONMENT = select(run.c.fingerprint).where(run.c.id == bindparam("of_run"))
_NEW_TRIAL = insert(trial).returning(trial.c.id)
