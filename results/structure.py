"""The tables of an SQLite file that somebody else has made: whether they are what ours are, and nothing that acts."""

from contextlib import closing
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, create_engine, text

from results.tables import metadata


class Structure(NamedTuple):
    """What decides which rows a table can have."""

    columns: frozenset[tuple[Any, ...]]  # name, type, whether it is null, place in the primary key
    unique: frozenset[tuple[str, ...]]  # what may be there once
    referred: frozenset[tuple[Any, ...]]  # column, table, column there


def unplain(connection: Connection, *, triggers: bool = True) -> str:
    """What stands in place of a plain table of ours: a view, a virtual table, generated columns, a trigger; else empty.

    To read a view or a generated column is to run what somebody else has written; to write a row with a trigger, too.
    """
    for kind, name, sql in connection.execute(text("select type, tbl_name, sql from sqlite_master")):
        if name not in metadata.tables or kind == "index" or (kind == "trigger" and not triggers):
            continue
        if kind != "table":
            return f"a {kind} on {name}" if kind == "trigger" else f"a {kind} named {name}"
        if str(sql).lstrip().upper().startswith("CREATE VIRTUAL"):
            return f"a virtual table named {name}"
        if any(column.hidden for column in _columns(connection, name)):
            return f"generated columns in its table {name}"
    return ""


def different(connection: Connection) -> str:
    """The first of our tables that is not as we make it; empty if all are."""
    ours = _ours()
    return next((name for name in ours if _structure(connection, name) != ours[name]), "")


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


def _columns(connection: Connection, table: str) -> list[Any]:
    return _pragma(connection, "table_xinfo", table)


def _pragma(connection: Connection, name: str, of: str) -> list[Any]:
    return list(connection.execute(text(f"select * from pragma_{name}(:of)"), {"of": of}))
