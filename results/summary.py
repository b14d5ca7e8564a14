"""The table `summary`: what a run measured of a cell in one wide row, for people who ask in SQL.

It says nothing that trial, metric and sample do not: one statement makes it from them, for one cell of a run as a trial
is recorded, for some as databases are merged or pruned, run by run when the schema has changed or somebody asks.

A twin is left out: it is the measure of the block's noise, and the cell's own timings stand beside it.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
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
    null,
    select,
    true,
    tuple_,
    union_all,
)

from results.records import METRICS
from results.tables import cell, metric, run, sample, summary, sweep, trial


def refresh(connection: Connection, run_id: str, cell_key: str) -> None:
    """Make one row anew, after a trial of the cell."""
    connection.execute(_DROP_ONE, {"of_run": run_id, "of_cell": cell_key})
    connection.execute(_MAKE_ONE, {"of_run": run_id, "of_cell": cell_key})


def refresh_all(connection: Connection, pairs: Any) -> None:
    """Make the rows of these (run_id, cell_key) anew: a list of pairs, or a query for them."""
    connection.execute(delete(summary).where(tuple_(summary.c.run_id, summary.c.cell_key).in_(pairs)))
    connection.execute(_insertion(tuple_(trial.c.run_id, trial.c.cell_key).in_(pairs)))


def rebuild(connection: Connection) -> int:
    """Make all rows anew; how many. Whoever records into one of the runs waits, or the same row would be made twice."""
    runs = connection.scalars(select(run.c.id).order_by(run.c.id).with_for_update(key_share=True)).all()
    return sum(_remake_run(connection, run_id) for run_id in runs)


def _remake_run(connection: Connection, run_id: str) -> int:
    """By itself: what all runs have measured need not be sorted at once."""
    connection.execute(_DROP_RUN, {"of_run": run_id})
    return connection.execute(_MAKE_RUN, {"of_run": run_id}).rowcount


def remake(connection: Connection) -> None:
    """Make the table itself anew: its columns follow from METRICS and from the cell's."""
    summary.drop(connection, checkfirst=True)
    summary.create(connection)
    rebuild(connection)


def made() -> Select[Any]:
    """All rows as they should be."""
    return _rows(true())


def _insertion(of: ColumnElement[bool]) -> Any:
    chosen = _rows(of)
    names = [column.name for column in chosen.selected_columns]
    return insert(summary).from_select(names, chosen).execution_options(preserve_rowcount=True)


def _rows(of: ColumnElement[bool]) -> Select[Any]:
    """The wide rows of the trials that the condition chooses; an interrupted trial measured nothing."""
    wide = _wide(and_(of, trial.c.status != "interrupted", trial.c.kind != "twin"))
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


def _wide(measured: ColumnElement[bool]) -> Subquery:
    """Ends and medians, in one row a cell and run.

    Grouped, not joined: a server that has just got its rows expects one of each, and makes all medians for each end.
    """
    ended, medians = _ends(measured), _medians(measured)
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


def _ends(measured: ColumnElement[bool]) -> Subquery:
    """How the trials of a cell in a run have ended: how many, when, and which failed first."""
    return (
        select(
            trial.c.run_id,
            trial.c.cell_key,
            func.count().label("trials"),
            func.max(trial.c.started_at).label("measured_at"),
            func.min(case((trial.c.status != "ok", trial.c.id))).label("failed_id"),
        )
        .where(measured)
        .group_by(trial.c.run_id, trial.c.cell_key)
        .subquery("ended")
    )


def _medians(measured: ColumnElement[bool]) -> Subquery:
    """The median of each name over a cell's trials in a run, of metrics or of samples."""
    values = union_all(
        *(
            select(trial.c.run_id, trial.c.cell_key, table.c.name, table.c.value)
            .join_from(table, trial)
            .where(measured, table.c.value.is_not(None))
            for table in (metric, sample)
        )
    ).subquery("value_of")
    group = (values.c.run_id, values.c.cell_key, values.c.name)
    rank = func.row_number().over(partition_by=group, order_by=values.c.value)
    count = func.count().over(partition_by=group)
    ranked = select(values, rank.label("rank"), count.label("count")).subquery("ranked")
    middle = ranked.c.rank.in_(((ranked.c.count + 1) // 2, (ranked.c.count + 2) // 2))
    low, high = func.min(ranked.c.value), func.max(ranked.c.value)
    # No avg, nor their sum: PostgreSQL's overflows with what a diverging solve measures, and refuses the row.
    median = case((low == high, low), else_=low + (high - low) / 2.0).label("value")
    keyed = (ranked.c.run_id, ranked.c.cell_key, ranked.c.name)
    return select(*keyed, median).where(middle).group_by(*keyed).subquery("median_of")


_DROP_ONE = delete(summary).where(summary.c.run_id == bindparam("of_run"), summary.c.cell_key == bindparam("of_cell"))
_MAKE_ONE = _insertion(and_(trial.c.run_id == bindparam("of_run"), trial.c.cell_key == bindparam("of_cell")))
_DROP_RUN = delete(summary).where(summary.c.run_id == bindparam("of_run"))
_MAKE_RUN = _insertion(trial.c.run_id == bindparam("of_run"))
