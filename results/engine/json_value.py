"""Conditions on the values of JSON objects that a column of texts holds, for either engine."""

import math
from collections.abc import Collection
from typing import Any

from sqlalchemy import JSON, ColumnElement, String, and_, case, false, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


def has_one_of(column: ColumnElement[str], name: str, wanted: Collection[Any]) -> ColumnElement[bool]:
    """The condition that the object has one of the values by this name. NaN asks for null or no value.

    `name`: without quotes. A boolean equals no number, and a number no text, however they are written.
    """
    value, kind = _parsed(column)[name], _kind(column, name)
    texts = [one for one in wanted if isinstance(one, str)]
    booleans = ["true" if one else "false" for one in wanted if isinstance(one, bool)]
    numbers = [one for one in wanted if isinstance(one, int | float) and not isinstance(one, bool)]
    finite = [float(one) for one in numbers if not math.isnan(one)]
    conditions = [
        and_(kind == "text", value.as_string().in_(texts)) if texts else false(),
        case((kind == "number", value.as_float())).in_(finite) if finite else false(),
        kind.in_(booleans) if booleans else false(),
        or_(kind.is_(None), kind == "null") if len(finite) < len(numbers) else false(),
    ]
    return or_(*conditions)


class _parsed(FunctionElement[Any]):  # noqa: N801  (a function of SQL)
    """The SQL function that parses a text as JSON."""

    inherit_cache = True
    type = JSON()


class _kind(FunctionElement[str]):  # noqa: N801  (a function of SQL)
    """The kind of an object's value: text, number, true, false, null, array, object; SQL's null if it has none."""

    inherit_cache = True
    type = String()


@compiles(_parsed, "sqlite")
def _parsed_in_sqlite(element: _parsed, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(_parsed, "postgresql")
def _parsed_in_postgresql(element: _parsed, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS JSON)"


@compiles(_kind, "sqlite")
def _kind_in_sqlite(element: _kind, compiler: Any, **kw: Any) -> str:
    text, name = (compiler.process(clause, **kw) for clause in element.clauses)
    kind = f"""json_type({text}, '$."' || {name} || '"')"""
    return f"CASE WHEN {kind} IN ('integer', 'real') THEN 'number' ELSE {kind} END"


@compiles(_kind, "postgresql")
def _kind_in_postgresql(element: _kind, compiler: Any, **kw: Any) -> str:
    text, name = (compiler.process(clause, **kw) for clause in element.clauses)
    value = f"(CAST({text} AS JSON) -> CAST({name} AS TEXT))"
    kind = f"json_typeof({value})"
    return f"CASE {kind} WHEN 'string' THEN 'text' WHEN 'boolean' THEN {value} #>> '{{}}' ELSE {kind} END"
