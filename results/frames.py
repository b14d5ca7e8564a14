"""What readers see: typed pandas frames, filtered in the database.

Of the trials of one (environment, cell, kind, process) the newest counts. An interrupted trial measured
nothing, so it is seen only where there is no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Subquery, Table, func, select

from results.tables import cell, environment, planned, run, summary, sweep, trial
from results.where import Where, among

if TYPE_CHECKING:
    from pandas import DataFrame

DTYPES: dict[type, str] = {float: "float64", int: "int64", bool: "bool", str: "str"}  # others: object


def newest_trials(where: Where) -> Subquery:
    """One row for each (environment, cell, kind, process) that has a trial which meets the condition."""
    rank = func.row_number().over(
        partition_by=(run.c.fingerprint, trial.c.cell_key, trial.c.kind, trial.c.process_index),
        order_by=(trial.c.status == "interrupted", trial.c.started_at.desc(), trial.c.id.desc()),
    )
    every = select(trial, run.c.fingerprint, rank.label("rank")).join(run).where(*where.on_runs(), *where.on_trials())
    ranked = every.subquery("ranked")
    newest = select(ranked).where(ranked.c.rank == 1)
    ended = among(ranked.c.status, where.status)
    return (newest if ended is None else newest.where(ended)).subquery("newest")


def runs() -> Select[Any]:
    """Every run with its sweep and its environment, oldest first."""
    return (
        select(
            run.c.id.label("run_id"),
            sweep.c.name.label("sweep_name"),
            sweep.c.text.label("sweep_text"),
            run.c.fingerprint,
            environment.c.facts,
            *(column for column in run.c if column.name not in ("id", "sweep_id", "fingerprint")),
        )
        .join_from(run, sweep)
        .join(environment)
        .order_by(run.c.started_at, run.c.id)
    )


def plans(where: Where) -> Select[Any]:
    """The cells that these runs asked for, in the sweep's order, with all that decides them."""
    fields = [column for column in cell.c if column.name != "key"]
    return (
        select(planned.c.study, planned.c.run_id, planned.c.cell_key, *fields)
        .join(cell)
        .join(run)
        .where(*where.on_runs(), *where.on_cells())
        .order_by(run.c.started_at, planned.c.run_id, planned.c.position)
    )


def cells(where: Where) -> Select[Any]:
    """The cells that meet the condition, by key; with one on runs, those that such runs planned."""
    chosen = select(cell).where(*where.on_cells()).order_by(cell.c.key)
    if where.on_runs():
        chosen = chosen.where(cell.c.key.in_(select(planned.c.cell_key).join(run).where(*where.on_runs())))
    return chosen


def summaries(where: Where) -> Select[Any]:
    """The wide rows, a cell and run each."""
    wide = select(summary).join(cell).join(run, run.c.id == summary.c.run_id)
    wide = wide.where(*where.on_cells(), *where.on_runs())
    ended = among(summary.c.status, where.status)
    ordered = wide.order_by(summary.c.run_id, summary.c.cell_key)
    return ordered if ended is None else ordered.where(ended)


def trials(where: Where) -> Select[Any]:
    """The newest trials."""
    newest = newest_trials(where)
    columns = [column for column in newest.c if column.name not in ("id", "rank")]
    return select(*columns).order_by(newest.c.id)


def measured(table: Table, where: Where) -> Select[Any]:
    """The rows of metric, sample or curve that belong to the newest trials."""
    newest = newest_trials(where)
    columns = [column for column in table.c if column.name != "trial_id"]
    rows = select(
        newest.c.fingerprint, newest.c.run_id, newest.c.cell_key, newest.c.kind, newest.c.process_index, *columns
    ).join_from(table, newest, table.c.trial_id == newest.c.id)
    named = among(table.c.name, where.name)
    rows = rows if named is None else rows.where(named)
    return rows.order_by(newest.c.id, *(column for column in table.primary_key if column.name != "trial_id"))


def frame(connection: Connection, query: Select[Any]) -> DataFrame:
    """The rows, in columns whose types follow from the schema, also when there are none."""
    import pandas

    columns = {column.name: _dtype(column) for column in query.selected_columns}
    rows = [tuple(row) for row in connection.execute(query)]
    return pandas.DataFrame(rows, columns=list(columns)).astype(columns)


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
