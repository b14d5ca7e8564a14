"""Rows in parts, so that they need not all fit the memory."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from results.schema.rows import Row


def chunks(connection: Connection, query: Select[Any], size: int) -> Generator[list[Row]]:
    """The query's rows as dictionaries by column, at most `size` at a time."""
    result = connection.execute(query.execution_options(yield_per=size))
    names = list(result.keys())
    with closing(result):  # no cursor is left on the server if the reader stops early
        for part in result.partitions():
            yield [dict(zip(names, row, strict=True)) for row in part]


def of_table(table: Table) -> Select[Any]:
    """All rows of a table, in the order of its key."""
    return select(table).order_by(*table.primary_key)
