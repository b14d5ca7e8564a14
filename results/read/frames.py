"""The frames that readers see: typed, and filtered in the database.

For each (environment, cell, kind) the newest series of trials counts, of the preferred code if it has any, and within
it the newest trial of each process. The order of recording decides which is newest, never a clock. An interrupted trial
measured nothing, so it is shown only where there is no other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Table, case, func, literal, not_, select

from results.engine.database import Database
from results.engine.location import AskedError
from results.metrics import METRICS
from results.names import nearest
from results.read.where import Where, among
from results.records import CURVES
from results.schema.tables import cell, curve, environment, noise_floor, planned, run, source, summary, sweep, trial

if TYPE_CHECKING:
    from pandas import DataFrame

CHUNK = 50_000  # rows that are Python objects at a time, before they become columns
DTYPES: dict[type, str] = {float: "float64", int: "int64", bool: "bool", str: "str"}  # others: object


def chosen_trials(where: Where, *, newest: bool = True) -> Select[Any]:
    """The ids of the trials that meet the condition; only the newest, or all."""
    conditions = [*where.on_runs(), *where.on_trials()]
    ended = among(trial.c.status, where.status)
    if not newest or isinstance(where.run_id, str):  # a run measures nothing twice
        every = select(trial.c.id).join(run).where(*conditions)
        return every if ended is None else every.where(ended)
    unknown = trial.c.source.is_(None)  # code not recorded: after all others, however late
    preferred = among(func.coalesce(trial.c.source, ""), where.prefer or None)
    other = literal(False) if preferred is None else not_(preferred)
    newest_first = (trial.c.status == "interrupted", other, unknown, run.c.sequence.desc(), trial.c.id.desc())
    of_kind = (run.c.fingerprint, trial.c.cell_key, trial.c.kind)
    standing = func.first_value(trial.c.series).over(partition_by=of_kind, order_by=newest_first)
    of_process = (*of_kind, trial.c.process_index, trial.c.series)
    rank = func.row_number().over(partition_by=of_process, order_by=newest_first)
    columns = (trial.c.id, trial.c.status, trial.c.series, standing.label("standing"), rank.label("rank"))
    ranked = select(*columns).join(run).where(*conditions).subquery("ranked")
    first = select(ranked.c.id).where(ranked.c.rank == 1, ranked.c.series == ranked.c.standing)
    ended = among(ranked.c.status, where.status)
    return first if ended is None else first.where(ended)


def sources(fingerprint: str) -> Select[Any]:
    """The facts of all code that was measured in the environment, the newest last; that of merged runs alone first."""
    own = func.max(case((run.c.merged, 0), else_=1)).label("own")
    newest = (
        select(trial.c.source, own, func.max(run.c.sequence).label("sequence"))
        .join(run)
        .where(run.c.fingerprint == fingerprint, trial.c.source.is_not(None))
        .group_by(trial.c.source)
        .subquery("newest")
    )
    joined = select(source).join(newest, newest.c.source == source.c.key)
    return joined.order_by(newest.c.own, newest.c.sequence, source.c.key)


def runs() -> Select[Any]:
    """Every run with its sweep and its environment, in the order in which they were recorded."""
    return (
        select(
            run.c.id.label("run_id"),
            sweep.c.name.label("sweep_name"),
            sweep.c.text.label("sweep_text"),
            sweep.c.sha.label("sweep_sha"),
            run.c.fingerprint,
            environment.c.facts,
            *(column for column in run.c if column.name not in ("id", "sweep_id", "fingerprint")),
        )
        .join_from(run, sweep)
        .join(environment)
        .order_by(run.c.sequence, run.c.started_at, run.c.id)
    )


def plans(where: Where) -> Select[Any]:
    """The cells that these runs asked for, in the sweep's order, with all that decides them."""
    where.refuse("planned cells", "kind", "status", "name", "source", "baseline")
    fields = [column for column in cell.c if column.name != "key"]
    return (
        select(planned.c.study, planned.c.run_id, planned.c.cell_key, *fields)
        .join(cell)
        .join(run)
        .where(*where.on_runs(), *where.on_cells())
        .order_by(run.c.sequence, run.c.started_at, planned.c.run_id, planned.c.position)
    )


def cells(where: Where) -> Select[Any]:
    """The cells that meet the condition, by key; with a condition on runs, the cells that these runs planned."""
    where.refuse("cells", "kind", "status", "name", "source", "baseline")
    chosen = select(cell).where(*where.on_cells()).order_by(cell.c.key)
    if where.on_runs():
        chosen = chosen.where(cell.c.key.in_(select(planned.c.cell_key).join(run).where(*where.on_runs())))
    return chosen


def summaries(where: Where) -> Select[Any]:
    """The wide rows, one for each cell and run."""
    where.refuse("summaries", "kind", "name", "source", "baseline")
    wide = select(summary).join(cell).join(run, run.c.id == summary.c.run_id)
    wide = wide.where(*where.on_cells(), *where.on_runs())
    ended = among(summary.c.status, where.status)
    ordered = wide.order_by(summary.c.run_id, summary.c.cell_key)
    return ordered if ended is None else ordered.where(ended)


def noise_floors(where: Where) -> Select[Any]:
    """The twins' ratios, by run and cell."""
    where.refuse("noise floors", "kind", "status", "source", "baseline")
    _refuse_unknown(where.name)
    floors = select(noise_floor).join(cell).join(run).where(*where.on_cells(), *where.on_runs())
    named = among(noise_floor.c.name, where.name)
    ordered = floors.order_by(*noise_floor.primary_key)
    return ordered if named is None else ordered.where(named)


def trials(where: Where, *, newest: bool = True) -> Select[Any]:
    """The chosen trials."""
    where.refuse("trials", "name")
    return trials_of(chosen_trials(where, newest=newest))


def measured(table: Table, where: Where, *, newest: bool = True) -> Select[Any]:
    """The rows of metric, sample or curve that belong to the chosen trials."""
    if table is not curve:  # a curve may have any name
        _refuse_unknown(where.name)
    rows = measured_of(table, chosen_trials(where, newest=newest))
    named = among(table.c.name, where.name)
    return rows if named is None else rows.where(named)


def _refuse_unknown(names: str | Collection[str] | None) -> None:
    """Raise an AskedError for a name that is neither a metric nor a curve; both may be asked for together."""
    known = {**METRICS, **CURVES}
    asked = (names,) if isinstance(names, str) else names or ()
    if wrong := next((name for name in asked if name not in known), None):
        raise AskedError(f"name={wrong!r}: no metric has such a name{nearest(wrong, known)}")


def trials_of(ids: Select[Any]) -> Select[Any]:
    """The trials with these ids, in the order of recording."""
    columns = [column for column in trial.c if column.name != "id"]
    return select(*columns, run.c.fingerprint).join(run).where(trial.c.id.in_(ids)).order_by(trial.c.id)


def measured_of(table: Table, ids: Select[Any]) -> Select[Any]:
    """The rows of metric, sample or curve that belong to the trials with these ids."""
    columns = [column for column in table.c if column.name not in ("trial_id", "points")]
    return (
        select(run.c.fingerprint, trial.c.run_id, trial.c.cell_key, trial.c.kind, trial.c.process_index, *columns)
        .join_from(trial, run)
        .join(table)
        .where(trial.c.id.in_(ids))  # not a join: SQLite reads them in order, and need not sort
        .order_by(trial.c.id, *(column for column in table.primary_key if column.name != "trial_id"))
    )


def read(database: Database, query: Select[Any]) -> DataFrame:
    """The rows in a frame, whose column types follow from the schema, also if there are no rows."""
    import pandas

    with database.reading() as connection:
        return pandas.concat(chunks(connection, query, CHUNK), ignore_index=True)


def chunks(connection: Connection, query: Select[Any], size: int) -> Iterator[DataFrame]:
    """The rows in frames of at most `size` rows, made one after the other; at least one frame, which may be empty."""
    import pandas

    dtypes = {column.name: _dtype(column) for column in query.selected_columns}
    result = connection.execute(query.execution_options(yield_per=size))
    empty = True
    with closing(result):
        for part in result.partitions():
            columns = zip(dtypes, zip(*part, strict=True), strict=True)
            yield pandas.DataFrame({name: pandas.Series(values, dtype=dtypes[name]) for name, values in columns})
            empty = False
    if empty:
        yield pandas.DataFrame({name: pandas.Series([], dtype=dtype) for name, dtype in dtypes.items()})


def _dtype(column: Any) -> str:
    nullable_integer = column.type.python_type is int and getattr(column, "nullable", False)
    return "Int64" if nullable_integer else DTYPES.get(column.type.python_type, "object")


def unpack(curves: DataFrame) -> DataFrame:
    """The blobs of a frame of curves as arrays: x of shape (n,), y of shape (n, d)."""
    import numpy
    import pandas

    x = [numpy.frombuffer(row.x, "<f8") for row in curves.itertuples()]
    y = [numpy.frombuffer(row.y, "<f8").reshape(row.length, row.width) for row in curves.itertuples()]
    arrays = {"x": pandas.Series(x, dtype="object"), "y": pandas.Series(y, dtype="object")}
    return curves.drop(columns=["length", "width"]).assign(**arrays)
