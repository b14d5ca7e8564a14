"""A JSON array as rows: any number of values as one parameter of a statement."""

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


def listed(array: ColumnElement[str]) -> ColumnElement[str]:
    """The values of a JSON array as texts, with a row for each."""
    value: ColumnElement[str] = _listed(array).table_valued("value").c.value
    return value


class _listed(FunctionElement[Any]):  # noqa: N801  (a function of SQL)
    """The SQL function that gives the values of a JSON array, with a row for each."""

    inherit_cache = True
    name = "listed"


@compiles(_listed, "sqlite")
def _listed_in_sqlite(element: _listed, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_listed, "postgresql")
def _listed_in_postgresql(element: _listed, compiler: Any, **kw: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS JSON))"
