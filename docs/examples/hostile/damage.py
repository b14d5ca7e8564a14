"""Random damage to the bytes, rows and tables of an SQLite file, and to a JSON file."""

import json
import random
import sqlite3
from contextlib import closing, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

_VALUES = (
    "null", "0", "-1", "1e300", "9e999", "-9e999", "2147483648", "9223372036854775807", "0.5", "''", "'x'", "x'00'",
    "x''", "char(0)", "cast(x'ff' as text)", "'[]'", "'{'", "'{\"a\": 1}'", "'{\"a\": null}'", "'[1e999]'", "'[-1]'",
    "'NaN'", "'\\ud800'", "hex(zeroblob(200000))", "zeroblob(1000000)", "'; drop table cell; --'",
    "'<script>alert(1)</script>'", "'=1+1'",
)  # fmt: skip
_ACTS = (
    "create trigger acting after insert on {table} begin delete from cell; end",
    "create trigger acting after update on {table} begin select raise(abort, 'no'); end",
    "drop table {table}",
    "alter table {table} rename to other",
    "alter table {table} add column more",
    "alter table {table} add column more as (hex(zeroblob(1000)))",
    "drop table {table}; create view {table} as with recursive n(i) as (select 1 union all select i + 1 from n) "
    "select * from n",
    "drop table {table}; create view {table} as select * from cell",
    "drop table {table}; create virtual table {table} using fts5(name)",
    "drop table {table}; create table {table} (id)",
    "delete from {table}",
    "insert into {table} select * from {table}",
    "pragma user_version = 7; update nodebench set version_num = '9999'",
    "update nodebench set version_num = 'x'",
    "delete from nodebench",
    "create table more (x); insert into more values (1)",
)
_NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 10**400, 1e308, float("inf"), float("nan"), "", "x" * 100_000, "\0", "\ud800", [], {}, [[[[]]]],
    {"a": None},
)  # fmt: skip


def damaged_file(path: Path, chance: random.Random) -> str:
    """Damage an SQLite file; a description of the damage."""
    kind = chance.choice(("bytes", "value", "value", "value", "act"))
    if kind == "bytes":
        return _bytes(path, chance)
    with closing(sqlite3.connect(path)) as connection:
        table = chance.choice(
            [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        )
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        some = chance.choice(("", f" where rowid = (select min(rowid) from {table})"))
        statement = (
            chance.choice(_ACTS).format(table=table)
            if kind == "act"
            else f"update {table} set {chance.choice(columns)} = {chance.choice(_VALUES)}{some}"
        )
        with suppress(sqlite3.Error):  # a refused statement does no damage
            connection.executescript(f"pragma foreign_keys = off; {statement};")
            connection.commit()
    return statement


def damaged_json(text: str, chance: random.Random) -> bytes:
    """The bytes of a JSON text with random damage."""
    if chance.random() < 0.3:
        content = bytearray(text.encode())
        for _ in range(chance.randrange(1, 5)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        return bytes(content[: chance.randrange(len(content) + 1)]) if chance.random() < 0.3 else bytes(content)
    content = json.loads(text)
    for _ in range(chance.randrange(1, 4)):
        holder, key = chance.choice(list(_places(content)))
        if chance.random() < 0.3:
            with suppress(KeyError, IndexError):
                del holder[key]
        else:
            holder[key] = deepcopy(chance.choice(_NASTY))  # without a copy, a list could come to contain itself
        if not isinstance(content, dict | list) or not list(_places(content)):
            break
    return json.dumps(content).encode()


def _places(content: Any) -> Any:
    """Every place in the content: its container and its key there."""
    keys = content.keys() if isinstance(content, dict) else range(len(content))
    for key in list(keys):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from _places(content[key])


def _bytes(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    count = chance.choice((1, 10, 1000))
    for _ in range(count):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.2:
        del content[chance.randrange(len(content)) :]
    path.write_bytes(content)
    return f"{count} bytes"
