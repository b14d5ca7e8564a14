"""Views, for people who ask in SQL: the newest row of `summary` for each cell and environment, and curves as points."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Select, and_, case, exists, func, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite

from results.lookup import NEWEST_RUN_FIRST
from results.tables import run, summary, trial


def drop(connection: Connection) -> None:
    """Where they are there."""
    for name in VIEWS:
        connection.execute(text(f"drop view if exists {name}"))


def remake(connection: Connection) -> None:
    """Leave them as they are meant. On a server who may read them still may."""
    engine = connection.dialect.name
    if engine == "sqlite":
        drop(connection)
    for statement in statements(engine).values():
        connection.exec_driver_sql(statement)


def statements(engine: str) -> dict[str, str]:
    """What makes each of them on an engine, by name."""
    create = {"sqlite": "create view", "postgresql": "create or replace view"}[engine]
    return {name: f"{create} {name} as {view[engine].strip()}" for name, view in VIEWS.items()}


def different(connection: Connection) -> str:
    """The first that is not there, or is another, as far as the engine keeps what was written; empty if all are."""
    if connection.dialect.name == "sqlite":
        kept = connection.exec_driver_sql("select name, sql from sqlite_master where type = 'view'")
        found = {name: sql.partition(" as ")[2] for name, sql in kept}
        return next((name for name, view in VIEWS.items() if found.get(name) != view["sqlite"].strip()), "")
    there = inspect(connection).get_view_names()
    return next((name for name in VIEWS if name not in there), "")


def _latest() -> Select[Any]:
    """By the order of recording; but what was measured of code that is not known stands after all else."""
    of_row = and_(trial.c.cell_key == summary.c.cell_key, trial.c.run_id == summary.c.run_id)
    known = exists().where(of_row, trial.c.source.is_not(None)).correlate(summary)
    newest_first = (case((known, 0), else_=1), *NEWEST_RUN_FIRST)
    place = func.row_number().over(partition_by=(summary.c.fingerprint, summary.c.cell_key), order_by=newest_first)
    placed = select(*summary.c, place.label("place")).join(run, run.c.id == summary.c.run_id).subquery("placed")
    return select(*(placed.c[column.name] for column in summary.c)).where(placed.c.place == 1)


_POINT_IN_SQLITE = """
select trial_id, name, point.key as position, number.key - 1 as component,
       json_extract(point.value, '$[0]') as x, number.value as y
from curve, json_each(curve.points) as point, json_each(point.value) as number
where number.key > 0
"""
_POINT_IN_POSTGRESQL = """
select trial_id, name, (place - 1)::integer as position, (at - 2)::integer as component,
       replace(point ->> 0, '1e999', 'Infinity')::double precision as x,
       replace(number #>> '{}', '1e999', 'Infinity')::double precision as y
from curve, json_array_elements(curve.points::json) with ordinality as point_of (point, place),
     json_array_elements(point) with ordinality as number_of (number, at)
where at > 1
"""


def _on(dialect: Dialect, query: Select[Any]) -> str:
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


VIEWS: Mapping[str, Mapping[str, str]] = {  # by name, then by engine: what it selects
    "latest": {"sqlite": _on(sqlite.dialect(), _latest()), "postgresql": _on(postgresql.dialect(), _latest())},
    "point": {"sqlite": _POINT_IN_SQLITE, "postgresql": _POINT_IN_POSTGRESQL},
}
