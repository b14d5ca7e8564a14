"""Random damage to a database on a server: to rows, tables, triggers, rules and policies."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from results import METRICS

_VALUES = (
    "null", "0", "-1", "1e300", "'NaN'", "'Infinity'", "'-Infinity'", "2147483647", "0.5", "''", "'x'", "'\\x00'",
    "repeat('x', 200000)", "'[]'", "'{}'", "'{\"a\": 1}'", "'{\"a\": null}'", "'{\"a\": \"\\u0000\"}'", "'[1e999]'",
    "'[-1]'", "'; drop table cell; --'", "'<script>alert(1)</script>'", "'=1+1'", "true", "chr(55295)",
)  # fmt: skip
_ACTS = (
    "create function acting() returns trigger language plpgsql as 'begin delete from cell; return new; end'; "
    "create trigger acting after insert on {table} for each row execute function acting()",
    "create rule acting as on insert to {table} do also delete from lease",
    "drop table {table} cascade",
    "alter table {table} rename to other",
    "alter table {table} add column more text",
    "alter table {table} add column more integer generated always as (1) stored",
    "drop table {table} cascade; create view {table} as with recursive n(i) as "
    "(select 1 union all select i + 1 from n) select * from n",
    "drop table {table} cascade; create view {table} as select * from pg_class",
    "drop table {table} cascade; create materialized view {table} as select 1 as id",
    "drop table {table} cascade; create table {table} (id integer)",
    "alter table {table} alter column {column} drop not null",
    "alter table {table} alter column {column} type text using {column}::text",
    "alter table {table} drop column {column} cascade",
    "alter table {table} rename column {column} to other",
    "alter table {table} enable row level security; alter table {table} force row level security",
    "delete from {table}",
    "update nodebench set version_num = '9999'",
    "update nodebench set version_num = 'x'",
    "delete from nodebench",
    "drop view latest",
    "create schema more; create table more.{table} (x integer)",
)


_NAMES = ("hostile_ours", "hostile_sound", "hostile_other")


class Server:
    """A server on which a damaged copy of a sound database is made for each case."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.ours, self.sound, self.other = map(self._named, _NAMES)

    def _named(self, name: str) -> str:
        before, _, after = self._url.partition("://")
        place, question, options = after.partition("?")
        return f"{before}://{place.rpartition('/')[0]}/{name}{question}{options}"

    def make(self, name: str, *, like: str = "template1") -> None:
        """Make a database, in place of one with this name."""
        self.drop(name)
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"create database {name} template {like}")

    def drop(self, *names: str) -> None:
        """Drop the databases with these names if they exist; without names, all that were made here."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for name in names or _NAMES:
                connection.execute(f"drop database if exists {name} with (force)")

    def damaged(self, chance: random.Random) -> str:
        """Damage a copy of the sound database; a description of the damage."""
        self.make("hostile_other", like="hostile_sound")
        with psycopg.connect(self.other, autocommit=True) as connection:
            columns = list(connection.execute(
                "select table_name, column_name from information_schema.columns join information_schema.tables "
                "using (table_schema, table_name) where table_schema = 'public' and table_type = 'BASE TABLE' "
                "order by 1, 2"
            ))  # fmt: skip
            table, column = chance.choice([(table, name) for table, name in columns if name not in METRICS])
            some = chance.choice(("", f" where ctid = (select min(ctid) from {table})"))
            statement = (
                f"update {table} set {column} = {chance.choice(_VALUES)}{some}"
                if chance.random() < 0.6
                else chance.choice(_ACTS).format(table=table, column=column)
            )
            with _refusable(connection):
                connection.execute("set session_replication_role = replica")  # foreign keys are not checked
                connection.execute(statement)
        return statement

    def content(self) -> dict[str, Any]:
        """Every row of every table of the damaged database."""
        with psycopg.connect(self.other) as connection:
            connection.execute("set statement_timeout = '5s'")
            names = connection.execute("select table_name from information_schema.tables where table_schema = 'public' "
                                       "and table_type = 'BASE TABLE' order by 1").fetchall()  # fmt: skip
            return {name: sorted(map(repr, connection.execute(f'select * from "{name}"'))) for (name,) in names}


@contextmanager
def _refusable(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A body whose refusal by the server is ignored: a refused statement does no damage."""
    try:
        yield
    except psycopg.Error:
        connection.rollback()
