"""The removal of superseded and interrupted trials, and of what nothing refers to after that.

The newest trials stay, and so do trials of baselines, trials with notes, and trials of runs that are measuring now.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    union,
)

from results.read.frames import chosen_trials
from results.read.lookup import NEWEST_RUN_FIRST
from results.read.where import Where
from results.schema import summary
from results.schema.tables import (
    annotation,
    baseline_trial,
    cell,
    curve,
    environment,
    lease,
    metric,
    noise_floor,
    planned,
    run,
    sample,
    source,
    sweep,
    trial,
)
from results.store import Store

_DAY_S = 86_400.0  # a run that began less than this ago may not have its first lease yet
_TO_REMOVE = Table(
    "doomed",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("run_id", String),
    Column("cell_key", String),
    prefixes=["TEMPORARY"],
)


def prune(
    store: Store, *, older_than_days: float = 0.0, dry_run: bool = False, prefer: Collection[str] = ()
) -> Mapping[str, int]:
    """Remove superseded trials, in one transaction; the rows removed, by table. `dry_run`: count them only.

    `prefer`: keys of the code whose trials are preferred to those of other code.
    """
    before = time.time() - older_than_days * _DAY_S
    return _removed(store, _superseded_trials(before, prefer), _superseded_runs(before), dry_run=dry_run)


def forget(store: Store, where: Where, *, dry_run: bool = False) -> Mapping[str, int]:
    """Remove every trial that meets the condition, also the newest, except trials of baselines and of measuring runs.

    With conditions on runs only, a run without a trial left is removed too, with its plan.
    """
    trials = (
        select(trial.c.id, trial.c.run_id, trial.c.cell_key)
        .join(run)
        .where(trial.c.id.in_(chosen_trials(where, newest=False)), ~_in_baseline(), ~_of_measuring_run())
    )
    runs = _runs_to_forget(where) if where.on_runs() and not where.on_cells() else None
    return _removed(store, trials, runs, dry_run=dry_run)


def kept_by_baselines(store: Store, where: Where) -> int:
    """The number of trials that meet the condition and are in a baseline."""
    chosen = select(func.count()).where(trial.c.id.in_(chosen_trials(where, newest=False)), _in_baseline())
    with store.database.reading() as connection:
        return connection.scalar(chosen.select_from(trial)) or 0


def _removed(
    store: Store, trials: Select[tuple[int, str, str]], runs: Select[tuple[str]] | None, *, dry_run: bool
) -> Mapping[str, int]:
    with store.database.writing() as connection:
        if not store.database.is_file:  # no run may begin on cells that are being removed; trials may be recorded
            connection.execute(text("lock table sweep, environment, cell, run in share row exclusive mode"))
        _TO_REMOVE.create(connection)
        removed = _remove(connection, trials, runs)
        _TO_REMOVE.drop(connection)
        if dry_run:
            connection.rollback()
    return {table: count for table, count in removed.items() if count}


def vacuum(store: Store) -> None:
    """Give a file's free pages back to the file system; a server does that itself."""
    if store.database.is_file:
        store.database.outside_transaction("VACUUM")


def _remove(
    connection: Connection, trials: Select[tuple[int, str, str]], runs: Select[tuple[str]] | None
) -> Counter[str]:
    """Remove the trials, then those of the runs that have no trial left, then what nothing refers to any more."""
    connection.execute(insert(_TO_REMOVE).from_select(["id", "run_id", "cell_key"], trials))
    removed = Counter[str]()
    to_remove = select(_TO_REMOVE.c.id)
    for table, column in (
        (metric, metric.c.trial_id),
        (sample, sample.c.trial_id),
        (curve, curve.c.trial_id),
        (trial, trial.c.id),
    ):
        removed[table.name] = _delete(connection, table, column.in_(to_remove))
    summary.refresh_all(
        connection, select(run.c.fingerprint, _TO_REMOVE.c.cell_key).join(run, run.c.id == _TO_REMOVE.c.run_id)
    )
    unreferenced = list(connection.scalars(_unreferenced_runs(runs))) if runs is not None else []
    for start in range(0, len(unreferenced), 1_000):
        ids = unreferenced[start : start + 1_000]
        for table, column in ((planned, planned.c.run_id), (noise_floor, noise_floor.c.run_id), (run, run.c.id)):
            removed[table.name] += _delete(connection, table, column.in_(ids))
    removed["noise_floor"] += _delete(connection, noise_floor, _floor_without_trials())
    removed["cell"] = _delete(connection, cell, cell.c.key.in_(_unreferenced_cells()))
    removed["sweep"] = _delete(connection, sweep, ~exists().where(run.c.sweep_id == sweep.c.id))
    fingerprint = environment.c.fingerprint
    named = or_(exists().where(run.c.fingerprint == fingerprint), exists().where(lease.c.fingerprint == fingerprint))
    of_no_trial = ~exists().where(trial.c.source == source.c.key)
    running = exists().where(run.c.state == "running")  # it may still record a trial of any source
    removed["source"] = _delete(connection, source, of_no_trial & ~running)
    removed["environment"] = _delete(connection, environment, ~named)
    return removed


def _delete(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(condition)).rowcount


def _superseded_trials(before: float, prefer: Collection[str]) -> Select[tuple[int, str, str]]:
    """The query for the trials to remove. A join: PostgreSQL would search a long list once for each row."""
    newest = chosen_trials(Where(prefer=prefer)).subquery("newest")
    noted = exists().where(
        or_(annotation.c.run_id.is_(None), annotation.c.run_id == trial.c.run_id),
        or_(annotation.c.cell_key.is_(None), annotation.c.cell_key == trial.c.cell_key),
    )
    return (
        select(trial.c.id, trial.c.run_id, trial.c.cell_key)
        .join(run)
        .outerjoin(newest, newest.c.id == trial.c.id)
        .where(or_(newest.c.id.is_(None), trial.c.status == "interrupted"))
        .where(trial.c.started_at < before, ~noted, ~_in_baseline(), ~_of_measuring_run())
    )


def _in_baseline() -> ColumnElement[bool]:
    return exists().where(baseline_trial.c.trial_id == trial.c.id)


def _of_measuring_run() -> ColumnElement[bool]:
    return and_(run.c.state == "running", exists().where(lease.c.run_id == run.c.id))


def _superseded_runs(before: float) -> Select[tuple[str]]:
    """The query for the runs whose sweep was run again in their environment."""
    place = func.row_number().over(partition_by=(sweep.c.id, run.c.fingerprint), order_by=NEWEST_RUN_FIRST)
    placed = select(run.c.id, place.label("place")).join(sweep).subquery("placed")
    again = select(run.c.id).join(placed, placed.c.id == run.c.id)
    return again.where(placed.c.place > 1, run.c.started_at < before)


def _runs_to_forget(where: Where) -> Select[tuple[str]]:
    return select(run.c.id).where(*where.on_runs())


def _unreferenced_runs(runs: Select[tuple[str]]) -> Select[tuple[str]]:
    """The query for those of the runs that nothing refers to and that have not just begun."""
    beginning = and_(run.c.state == "running", run.c.started_at > time.time() - _DAY_S)
    named = or_(*(exists().where(table.c.run_id == run.c.id) for table in (trial, lease, annotation)))
    return select(run.c.id).where(run.c.id.in_(runs), ~named, ~beginning).order_by(run.c.id)


def _floor_without_trials() -> ColumnElement[bool]:
    """The condition that the floor's run and cell have neither a trial nor a lease left."""
    return ~or_(
        *(
            exists().where(table.c.run_id == noise_floor.c.run_id, table.c.cell_key == noise_floor.c.cell_key)
            for table in (trial, lease)
        )
    )


def _unreferenced_cells() -> Select[tuple[str]]:
    tables = (planned, trial, lease, noise_floor, annotation)
    named = union(*(select(table.c.cell_key) for table in tables)).subquery("named")
    return select(cell.c.key).outerjoin(named, named.c.cell_key == cell.c.key).where(named.c.cell_key.is_(None))
