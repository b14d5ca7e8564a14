"""Rows in parts: what is moved from place to place need not fit the memory."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select

from results.rows import Row


def chunks(connection: Connection, query: Select[Any], size: int) -> Iterator[list[Row]]:
    """The query's rows by column, at most `size` at a time."""
    result = connection.execute(query.execution_options(yield_per=size))
    for part in result.mappings().partitions():
        yield [dict(row) for row in part]
