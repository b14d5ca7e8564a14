"""The check that a database has the tables that we make, and nothing that executes SQL when it is read or written."""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, Table, UniqueConstraint, create_engine, inspect, text
from sqlalchemy.exc import NoSuchTableError

from results.schema.tables import metadata


class Structure(NamedTuple):
    """The parts of a table's definition that decide which rows the table can have."""

    columns: frozenset[tuple[Any, ...]]  # name, type, whether it is not null, place in the primary key
    unique: frozenset[tuple[str, ...]]  # columns whose values may occur once
    referred: frozenset[tuple[Any, ...]]  # column, table, column there


def unsafe_object(connection: Connection, *, triggers: bool = True) -> str:
    """The first object that makes a table unsafe: a view, a virtual table, a generated column, a trigger; or empty.

    To read a view or a generated column executes SQL that somebody else wrote, and so does a trigger on writing.
    """
    if connection.dialect.name == "sqlite":
        return next(_unsafe_in_file(connection, triggers), "")
    return next(_unsafe_on_server(connection, triggers), "")


def different(connection: Connection) -> str:
    """The first of our tables that differs from what we make, `summary` after all others; empty if none differs."""
    if connection.dialect.name == "sqlite":
        ours = _ours()
        return next((name for name in ours if _structure(connection, name) != ours[name]), "")
    return next((name for name, table in metadata.tables.items() if not _is_on_server(connection, table)), "")


def _unsafe_in_file(connection: Connection, triggers: bool) -> Iterator[str]:
    for kind, name, sql in connection.execute(text("select type, tbl_name, sql from sqlite_master")):
        if name not in metadata.tables or kind == "index" or (kind == "trigger" and not triggers):
            continue
        if kind != "table":
            yield f"a {kind} on {name}" if kind == "trigger" else f"a {kind} named {name}"
        elif str(sql).lstrip().upper().startswith("CREATE VIRTUAL"):
            yield f"a virtual table named {name}"
        elif any(column.hidden for column in _columns(connection, name)):
            yield f"generated columns in its table {name}"


def _unsafe_on_server(connection: Connection, triggers: bool) -> Iterator[str]:
    for name, what, acts in connection.execute(_ON_SERVER, {"ours": list(metadata.tables)}):
        if not acts:
            yield f"{what} {name}"
        elif triggers:
            yield f"{what} on {name}"


@cache
def _ours() -> dict[str, Structure]:
    engine = create_engine("sqlite://")
    with closing(engine.connect()) as connection:
        metadata.create_all(connection)
        return {name: _structure(connection, name) for name in metadata.tables}


def _structure(connection: Connection, table: str) -> Structure:
    columns = {(one.name, one.type.upper(), one.notnull or one.pk, one.pk) for one in _columns(connection, table)}
    indices = [index.name for index in _pragma(connection, "index_list", table) if index.unique]
    unique = {tuple(sorted(column.name for column in _pragma(connection, "index_info", name))) for name in indices}
    keys = _pragma(connection, "foreign_key_list", table)
    referred = {(key._mapping["from"], key.table, key.to) for key in keys}
    return Structure(frozenset(columns), frozenset(unique), frozenset(referred))


def _is_on_server(connection: Connection, table: Table) -> bool:
    """Whether the server's table has our columns and primary key, and at least our other keys."""
    inspector, dialect = inspect(connection), connection.dialect
    try:
        columns = inspector.get_columns(table.name)
    except NoSuchTableError:
        return False
    keys = [(key["constrained_columns"], key["referred_table"]) for key in inspector.get_foreign_keys(table.name)]
    unique = [one["column_names"] for one in inspector.get_unique_constraints(table.name)]
    return (
        {(one["name"], one["type"].compile(dialect), one["nullable"]) for one in columns}
        == {(one.name, one.type.compile(dialect), bool(one.nullable)) for one in table.columns}
        and inspector.get_pk_constraint(table.name)["constrained_columns"] == table.primary_key.columns.keys()
        and all(
            (one.column_keys, one.referred_table.name) in keys
            for one in table.constraints
            if isinstance(one, ForeignKeyConstraint)
        )
        and all(one.columns.keys() in unique for one in table.constraints if isinstance(one, UniqueConstraint))
    )


def _columns(connection: Connection, table: str) -> list[Any]:
    return _pragma(connection, "table_xinfo", table)


def _pragma(connection: Connection, name: str, of: str) -> list[Any]:
    return list(connection.execute(text(f"select * from pragma_{name}(:of)"), {"of": of}))


_ON_SERVER = text("""
with ours as (
    select pg_class.oid, relname, relkind
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = current_schema() and relname = any(:ours)
)
select relname, case relkind when 'v' then 'a view named' when 'm' then 'a materialized view named'
                             when 'f' then 'a foreign table named' else 'something else named' end, false
from ours where relkind not in ('r', 'i', 'I', 'S')
union all
select distinct relname, 'generated columns in its table', false
from ours join pg_attribute on attrelid = oid where attgenerated <> ''
union all
select relname, 'tables that inherit from its table', false from ours join pg_inherits on inhparent = ours.oid
union all
select relname, 'a trigger', true from ours join pg_trigger on tgrelid = ours.oid where not tgisinternal
union all
select relname, 'a rule', true from ours join pg_rewrite on ev_class = ours.oid where relkind = 'r'
""")
