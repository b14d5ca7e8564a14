"""Views for queries in SQL: the newest row of `summary` for each cell and environment, and curves as points."""

from collections.abc import Mapping

from sqlalchemy import Connection, inspect, text

from results.engine.location import StoreError
from results.schema.tables import summary


def drop(connection: Connection) -> None:
    """Drop the views that exist. A StoreError if a table or a materialized view has the name of a view."""
    kinds = _kinds(connection)
    for name in VIEWS:
        if (kind := kinds.get(name)) not in (None, "view"):
            raise StoreError(f"a {kind} named {name} stands where a view of ours is to be: rename it")
        connection.execute(text(f"drop view if exists {name}"))


def remake(connection: Connection) -> None:
    """Create the views, or replace them. On a server a view that had the right columns keeps its grants."""
    engine = connection.dialect.name
    if engine == "sqlite" or any(_names(connection, name) != COLUMNS[name] for name in VIEWS):
        drop(connection)
    for statement in statements(engine).values():
        connection.exec_driver_sql(statement)


def statements(engine: str) -> dict[str, str]:
    """The statements that create the views on an engine, by name of the view."""
    create = {"sqlite": "create view", "postgresql": "create or replace view"}[engine]
    return {name: f"{create} {name} as {view[engine].strip()}" for name, view in VIEWS.items()}


def different(connection: Connection) -> str:
    """The first view that is missing or differs; empty if there is none. PostgreSQL's are compared by their columns."""
    if connection.dialect.name == "sqlite":
        kept = connection.exec_driver_sql("select name, sql from sqlite_master where type = 'view'")
        found = {name: sql.partition(" as ")[2] for name, sql in kept}
        return next((name for name, view in VIEWS.items() if found.get(name) != view["sqlite"].strip()), "")
    return next((name for name in VIEWS if _names(connection, name) != COLUMNS[name]), "")


def _kinds(connection: Connection) -> dict[str, str]:
    """The kinds of the database's relations that have a name of our views, by name."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("select name, type from sqlite_master where type in ('table', 'view')"))
    else:
        found = connection.execute(text(_KINDS_ON_SERVER))
    return {name: kind for name, kind in found if name in VIEWS}


def _names(connection: Connection, name: str) -> list[str]:
    """The columns of a view; an empty list if there is no such view."""
    if _kinds(connection).get(name) != "view":
        return []
    return [column["name"] for column in inspect(connection).get_columns(name)]


_KINDS_ON_SERVER = """
select relname, case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'r' then 'table'
                             else 'relation' end
from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = current_schema()
"""
# The order is that of recording; a row whose trials have no known code comes after all others.
_LATEST = f"""
select {", ".join(summary.columns.keys())}
from (
    select summary.*, row_number() over (
        partition by summary.fingerprint, summary.cell_key
        order by case when exists (
                     select 1 from trial
                     where trial.cell_key = summary.cell_key and trial.run_id = summary.run_id
                           and trial.source is not null
                 ) then 0 else 1 end,
                 run.sequence desc, run.started_at desc, run.id desc
    ) as place
    from summary join run on run.id = summary.run_id
) as placed
where place = 1
"""
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
VIEWS: Mapping[str, Mapping[str, str]] = {  # the query of each view, by name and engine
    "latest": {"sqlite": _LATEST, "postgresql": _LATEST},
    "point": {"sqlite": _POINT_IN_SQLITE, "postgresql": _POINT_IN_POSTGRESQL},
}
COLUMNS = {
    "latest": list(summary.columns.keys()),
    "point": ["trial_id", "name", "position", "component", "x", "y"],
}
