"""The table `summary`: the valid numbers of a cell after a run in one wide row, for queries in SQL.

It is derived from trial, metric and sample: `results.schema.members` decides which trials a row is made of, and one
statement makes the row, when a trial is recorded, when databases are merged or pruned, and on request.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    text,
    true,
    tuple_,
    union_all,
)

from results.engine.json_list import listed
from results.metrics import METRICS
from results.schema import versions, views
from results.schema.members import Members, members, members_of
from results.schema.tables import cell, metric, run, sample, summary, sweep, trial

_CHUNK = 2_000  # trials whose rows one statement makes
_TINY = 1e-300  # half of it is still a normal number
_DIGITS = 10  # of a trial's row number, in the list of members


def lock(connection: Connection, cell_keys: Any) -> None:
    """Lock the summary rows of some cells until the transaction ends. `cell_keys`: a list, or a query for keys.

    Without the lock two processes that record trials of one cell would each compute a row without the other's trial.
    """
    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time
        connection.execute(_LOCKED.where(cell.c.key.in_(cell_keys)))


def refresh(connection: Connection, fingerprint: str, run_id: str, cell_key: str) -> None:
    """Recompute the summary rows of a cell from the run's row on; the caller has locked the cell.

    The row before the run's row is recomputed too: until this trial the two may have been one row.
    """
    rows = members_of(connection, fingerprint, cell_key)
    first = next((index for index, row in enumerate(rows) if run_id in row.runs), len(rows))
    changed = rows[max(0, first - 1) :]
    runs = json.dumps([one for row in changed for one in row.runs])
    connection.execute(_DROP_SOME, {"of_cell": cell_key, "of_environment": fingerprint, "of_runs": runs})
    _make(connection, changed)


def refresh_all(connection: Connection, places: Any) -> None:
    """Recompute all summary rows of some cells in some environments.

    `places`: pairs (fingerprint, cell_key), as a list or as a query that selects them.
    """
    keys = sorted({key for _, key in places}) if isinstance(places, list) else select(places.subquery().c.cell_key)
    lock(connection, keys)
    of_rows = tuple_(summary.c.fingerprint, summary.c.cell_key).in_(places)
    connection.execute(delete(summary).where(summary.c.cell_key.in_(keys), of_rows))
    of_places = and_(trial.c.cell_key.in_(keys), tuple_(run.c.fingerprint, trial.c.cell_key).in_(places))
    for part in _parts(members(connection, of_places)):
        _make(connection, part)


def rebuild(connection: Connection) -> int:
    """Recompute every summary row, and recreate damaged views. Returns the number of rows.

    On a server other processes that record a trial wait until this transaction ends.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text(f"lock table {summary.name} in share row exclusive mode"))
    connection.execute(delete(summary))
    if views.different(connection):
        views.remake(connection)
    count = 0
    for part in _parts(members(connection, true())):
        count += _make(connection, part)
    return count


def remake(connection: Connection) -> None:
    """Recreate the table itself, with the columns that follow from `results.METRICS` and from the table `cell`."""
    views.drop(connection)
    summary.drop(connection, checkfirst=True)
    summary.create(connection)
    rebuild(connection)
    versions.remember_summary(connection)


def differs(connection: Connection) -> bool:
    """Whether the table differs from what trial, metric and sample give."""
    count = 0
    for part in _parts(members(connection, true())):
        count += len(part)
        keys = tuple({row.place[1] for row in part})
        wanted = {(row.run_id, row.place[1]) for row in part}
        kept = connection.execute(select(summary).where(summary.c.cell_key.in_(keys)))
        found = {tuple(row) for row in kept if (row.run_id, row.cell_key) in wanted}
        if found != {tuple(row) for row in connection.execute(_MADE, _listing(part))}:
            return True
    return count != connection.scalar(select(func.count()).select_from(summary))


def _parts(places: Iterable[list[Members]]) -> Iterator[list[Members]]:
    """The rows in parts of a few thousand trials."""
    part, trials = list[Members](), 0
    for rows in places:
        part += rows
        trials += sum(len(row.trials) for row in rows)
        if trials >= _CHUNK:
            yield part
            part, trials = [], 0
    yield part


def _make(connection: Connection, rows: Sequence[Members]) -> int:
    return connection.execute(_MAKE, _listing(rows)).rowcount if rows else 0


def _listing(rows: Sequence[Members]) -> dict[str, str]:
    pairs = (f"{id_:0{_DIGITS}d}{row.run_id}" for row in rows for id_ in row.trials.values())
    return {"members": json.dumps(list(pairs))}


def _member() -> Subquery:
    """The pairs of a row's run and one of the row's trials, from the statement's parameter."""
    pair = listed(bindparam("members", type_=String))
    trial_id = cast(func.substr(pair, 1, _DIGITS), Integer)
    return select(func.substr(pair, _DIGITS + 1).label("run_id"), trial_id.label("trial_id")).subquery("member")


def _rows() -> Select[Any]:
    """The query for the wide rows."""
    member = _member()
    wide = _wide(member)
    failed = trial.alias("failed")
    fields = [column for column in cell.c if column.name != "key"]
    return (
        select(
            wide.c.run_id,
            wide.c.cell_key,
            run.c.fingerprint,
            sweep.c.name.label("sweep"),
            *fields,
            func.coalesce(failed.c.status, "ok").label("status"),
            func.coalesce(failed.c.reason, "").label("reason"),
            wide.c.trials,
            wide.c.measured_at,
            *(wide.c[name] for name in METRICS),
        )
        .select_from(wide)
        .join(run, run.c.id == wide.c.run_id)
        .join(sweep)
        .join(cell, cell.c.key == wide.c.cell_key)
        .outerjoin(failed, failed.c.id == wide.c.failed_id)
    )


def _wide(member: Subquery) -> Subquery:
    """The query for the outcomes and the medians of a row's trials, in one row.

    They are grouped, not joined: for rows just inserted, PostgreSQL's planner expects one row on each side of a join,
    and would compute all medians again for each outcome.
    """
    ended, medians = _outcomes(member), _medians(member)
    ends = ("trials", "measured_at", "failed_id")
    parts = union_all(
        select(*ended.c, cast(null(), String).label("name"), cast(null(), Double).label("value")),
        select(
            medians.c.run_id,
            medians.c.cell_key,
            *(cast(null(), ended.c[name].type).label(name) for name in ends),
            medians.c.name,
            medians.c.value,
        ),
    ).subquery("part")
    named = (func.max(case((parts.c.name == name, parts.c.value))).label(name) for name in METRICS)
    return (
        select(parts.c.run_id, parts.c.cell_key, *(func.max(parts.c[name]).label(name) for name in ends), *named)
        .group_by(parts.c.run_id, parts.c.cell_key)
        .subquery("wide")
    )


def _outcomes(member: Subquery) -> Subquery:
    """The query for the outcome of a row's trials: how many there are, when the last began, and which failed first."""
    return (
        select(
            member.c.run_id,
            trial.c.cell_key,
            func.count().label("trials"),
            func.max(trial.c.started_at).label("measured_at"),
            func.min(case((trial.c.status != "ok", trial.c.id))).label("failed_id"),
        )
        .join_from(member, trial, trial.c.id == member.c.trial_id)
        .group_by(member.c.run_id, trial.c.cell_key)
        .subquery("ended")
    )


def _medians(member: Subquery) -> Subquery:
    """The query for the median of each metric over a row's trials, whether of metrics or of samples."""
    values = union_all(
        *(
            select(member.c.run_id, trial.c.cell_key, table.c.name, table.c.value)
            .join_from(member, trial, trial.c.id == member.c.trial_id)
            .join(table, table.c.trial_id == member.c.trial_id)
            .where(table.c.value.is_not(None))
            for table in (metric, sample)
        )
    ).subquery("value_of")
    group = (values.c.run_id, values.c.cell_key, values.c.name)
    rank = func.row_number().over(partition_by=group, order_by=values.c.value)
    count = func.count().over(partition_by=group)
    ranked = select(values, rank.label("rank"), count.label("count")).subquery("ranked")
    middle = ranked.c.rank.in_(((ranked.c.count + 1) // 2, (ranked.c.count + 2) // 2))
    low, high = func.min(ranked.c.value), func.max(ranked.c.value)
    keyed = (ranked.c.run_id, ranked.c.cell_key, ranked.c.name)
    return select(*keyed, _mean(low, high).label("value")).where(middle).group_by(*keyed).subquery("median_of")


def _mean(low: ColumnElement[float], high: ColumnElement[float]) -> ColumnElement[float]:
    """The mean of low <= high, without an overflow or underflow, for which PostgreSQL would refuse the row.

    A diverging solve gives huge and infinite numbers. The mean of infinities of both signs is null.
    """
    infinite = literal(math.inf, Double)
    return case(
        (low == high, low),
        (and_(low == -infinite, high == infinite), null()),
        (low == -infinite, low),
        (high == infinite, high),
        (and_(low < 0, high > 0), case((func.abs(low + high) < _TINY, 0.0), else_=(low + high) / 2.0)),
        (high - low < _TINY, low),
        else_=low + (high - low) / 2.0,
    )


_MADE = _rows()
_MAKE = (
    insert(summary)
    .from_select([column.name for column in _MADE.selected_columns], _MADE)
    .execution_options(preserve_rowcount=True)
)
_DROP_SOME = delete(summary).where(
    summary.c.cell_key == bindparam("of_cell"),
    summary.c.fingerprint == bindparam("of_environment"),
    summary.c.run_id.in_(select(listed(bindparam("of_runs", type_=String)))),
)
_LOCKED = select(cell.c.key).order_by(cell.c.key).with_for_update(key_share=True)
