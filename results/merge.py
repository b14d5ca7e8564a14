"""What another database has and this one has not, brought in by natural keys: merging twice changes nothing.

Each part is a transaction of its own that holds whole trials. Whoever records here is not kept waiting, and a merge
that was killed is simply begun again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from results import summary
from results.chunks import chunks
from results.database import Database
from results.location import StoreError, file_of
from results.recording import insert_missing, insertion_of_missing
from results.rows import Row
from results.store import Store
from results.tables import (
    annotation,
    baseline,
    baseline_trial,
    cell,
    curve,
    environment,
    metric,
    noise_floor,
    planned,
    reference,
    run,
    sample,
    sweep,
    trial,
)
from results.tables import source as source_table
from results.where import Where

_CHUNK = 500  # trials, or rows of another table, in memory and in a transaction

_Key = tuple[Any, ...]
_NATURAL = (trial.c.run_id, trial.c.cell_key, trial.c.kind, trial.c.process_index)
_MEASURED = (metric, sample, curve)


@dataclass(frozen=True)
class Merged:
    """What came in."""

    rows: Mapping[str, int]  # by table; those without are left out
    ended: int  # runs known as running here that have ended there
    kept: Sequence[str]  # baselines of which each database has one of its own: ours stays


def merge(store: Store, other: Store) -> Merged:
    """Everything of `other` that `store` has not. Leases stay where they are: they are about what goes on there."""
    target, came, ended = store.database, Counter[str](), 0
    with other.database.reading() as source:
        _refuse_itself(target, other.database)
        for table in (sweep, environment, cell, reference, source_table):
            came[table.name] += _copy(source, target, table)
        for part in chunks(source, select(run, sweep.c.sha).join(sweep).order_by(run.c.id), _CHUNK):
            with target.writing() as connection:
                came["run"] += insert_missing(connection, run, _in_sweeps(connection, part))
                ended += _end(connection, part)
        came["planned"] += _copy(source, target, planned)
        for part in chunks(source, select(trial).order_by(trial.c.id), _CHUNK):
            came.update(_take_trials(source, target, part))
        for table in (noise_floor, annotation):
            came[table.name] += _copy(source, target, table)
        kept = [
            name for name in source.scalars(select(baseline.c.name)) if not _take_baseline(source, target, name, came)
        ]
    return Merged({name: count for name, count in came.items() if count}, ended, kept)


def _refuse_itself(ours: Database, theirs: Database) -> None:
    if _identity(ours) == _identity(theirs):
        raise StoreError(f"{theirs.place} is the database that is merged into: pass another one")


def _identity(database: Database) -> _Key:
    """One thing under all of its names."""
    if path := file_of(database.url):
        found = path.stat()
        return found.st_dev, found.st_ino
    with database.reading() as connection:
        return tuple(connection.execute(select(func.pg_postmaster_start_time(), func.current_database())).one())


def _copy(source: Connection, target: Database, table: Table) -> int:
    """The rows of a table whose key means the same everywhere; row numbers do not."""
    columns = [column for column in table.c if not (table is sweep and column.primary_key)]
    came = 0
    for part in chunks(source, select(*columns).order_by(*table.primary_key), _CHUNK):
        with target.writing() as connection:
            came += insert_missing(connection, table, part)
    return came


def _in_sweeps(connection: Connection, runs: Sequence[Row]) -> list[Row]:
    """The runs with the row numbers that their sweeps have here."""
    shas = {row["sha"] for row in runs}
    ids = {sha: id_ for id_, sha in connection.execute(select(sweep.c.id, sweep.c.sha).where(sweep.c.sha.in_(shas)))}
    return [
        {name: row[name] for name in row if name != "sha"} | {"sweep_id": ids[row["sha"]], "merged": True}
        for row in runs
    ]


def _end(connection: Connection, runs: Sequence[Row]) -> int:
    ends = [{"of_run": r["id"], "how": r["state"], "at": r["finished_at"]} for r in runs if r["state"] != "running"]
    return connection.execute(_ENDED, ends).rowcount if ends else 0


def _take_trials(source: Connection, target: Database, part: Sequence[Row]) -> Counter[str]:
    """Those that are not here yet, with all that they measured."""
    with target.reading() as connection:
        known = _ids(connection, part)
    there = {_key(row): row["id"] for row in part if _key(row) not in known}
    if not there:
        return Counter()
    measured = {table: _measured_by(source, table, there.values()) for table in _MEASURED}
    new = [{name: row[name] for name in row if name != "id"} for row in part if _key(row) in there]
    with target.writing() as connection:
        here = _insert_trials(connection, new)
        numbers = {there[key]: id_ for key, id_ in here.items()}
        came = Counter({"trial": len(here)})
        for table, rows in measured.items():
            kept = [{**row, "trial_id": numbers[row["trial_id"]]} for row in rows if row["trial_id"] in numbers]
            if kept:
                connection.execute(insert(table), kept)
                came[table.name] += len(kept)
        summary.refresh_all(connection, sorted({key[:2] for key in here}))
    return came


def _measured_by(source: Connection, table: Table, trial_ids: Collection[int]) -> list[Row]:
    query = select(table).where(table.c.trial_id.in_(trial_ids)).order_by(*table.primary_key)
    return [dict(row) for row in source.execute(query).mappings()]


def _insert_trials(connection: Connection, rows: list[Row]) -> dict[_Key, int]:
    """Their row numbers here, without those that another process has written in the meantime, whole."""
    runs = sorted({row["run_id"] for row in rows})
    connection.execute(select(run.c.id).where(run.c.id.in_(runs)).order_by(run.c.id).with_for_update(key_share=True))
    written = connection.execute(insertion_of_missing(connection, trial).returning(trial.c.id, *_NATURAL), rows)
    return {tuple(key): id_ for id_, *key in written}


def _ids(connection: Connection, rows: Sequence[Row]) -> dict[_Key, int]:
    """The row numbers of those of the trials that are here."""
    asked = {_key(row) for row in rows}
    # Those of these cells in these runs, hardly more: a list of whole keys takes PostgreSQL a hundred times as long.
    near = Where(run_id={row["run_id"] for row in rows}, cell_key={row["cell_key"] for row in rows})
    found = connection.execute(select(trial.c.id, *_NATURAL).where(*near.on_trials()))
    return {key: id_ for id_, *parts in found if (key := tuple(parts)) in asked}


def _key(row: Row) -> _Key:
    return tuple(row[column.name] for column in _NATURAL)


def _take_baseline(source: Connection, target: Database, name: str, came: Counter[str]) -> bool:
    """Whether the baseline of this name is now the same in both."""
    (row,) = source.execute(select(baseline).where(baseline.c.name == name)).mappings()
    members = select(*_NATURAL).join_from(baseline_trial, trial).where(baseline_trial.c.name == name)
    with target.writing() as connection:
        new = insert_missing(connection, baseline, [dict(row)])
        came["baseline"] += new
        of_ours = baseline_trial.c.name == name
        missing = connection.scalar(select(func.count()).where(of_ours)) or 0
        same = True
        for part in chunks(source, members.order_by(trial.c.id), _CHUNK):
            ids = list(_ids(connection, part).values())
            if new:
                connection.execute(insert(baseline_trial), [{"name": name, "trial_id": id_} for id_ in ids])
                continue
            shared = connection.scalar(select(func.count()).where(of_ours, baseline_trial.c.trial_id.in_(ids))) or 0
            same = same and shared == len(part)
            missing -= shared
    return same and missing == 0


_ENDED = (
    update(run)
    .where(run.c.id == bindparam("of_run"), run.c.state == "running")
    .values(state=bindparam("how"), finished_at=bindparam("at"))
)
