"""The rules for the rows of each table, on every engine: a row that breaks one is neither written nor merged.

SQLite accepts any value in any column, and PostgreSQL accepts NaN, which SQLite cannot store. A row that meets these
rules can be stored by both, moved between them, shown and exported.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    TypeAdapter,
    ValidationError,
    with_config,
)
from sqlalchemy import JSON, Boolean, Column, Double, Integer, LargeBinary, Table, Text
from typing_extensions import TypedDict

from results.engine.location import StoreError
from results.records import (
    OPTION_NAME,
    RUN_STATES,
    TRIAL_KINDS,
    TRIAL_STATUSES,
    Environment,
    Goal,
    Source,
    TrueValues,
    canonical,
)
from results.schema.rows import Row, cell_of, points_of, sha_of
from results.schema.tables import metadata

_typed_dict: Any = TypedDict  # the types are made at run time, which mypy does not follow
_list: Any = list
_dict: Any = dict
_LARGEST = 2**31 - 1  # largest whole number of a column
_TOO_LARGE = 2**63  # no engine stores such a whole number
_NAME = 255  # characters of an indexed text: PostgreSQL's limit for an entry of an index is 2,704 bytes
_LINE = 10_000  # characters of any other name
_MOST = 2**26  # characters of a text, bytes of an array
_YEAR_9999 = 253_370_764_800.0  # seconds since the epoch: a later time has no date in some time zone
_SHOWN = 40  # characters of a wrong value in a message

_WORDS = {
    ("trial", "kind"): TRIAL_KINDS,
    ("trial", "status"): TRIAL_STATUSES,
    ("run", "state"): RUN_STATES,
    ("reference", "name"): ("solution", "gradient"),
}
_TIMES = {"started_at", "finished_at", "created_at"}
_MAY_BE_INFINITE = {  # the error of a solve that diverges, an interval of few pairs
    ("metric", "value"),
    ("noise_floor", "low"),
    ("noise_floor", "high"),
}
_RULE_TEXTS = {
    "string_pattern_mismatch": "a text has no zero byte, which no server takes",
    "string_unicode": "a text is Unicode, and this has half of a surrogate pair",
    "extra_forbidden": "its table has no such column",
}
_NATURAL_KEYS = {"trial": ("run_id", "cell_key", "kind", "process_index"), "sweep": ("name",)}


def check(table: Table, rows: Sequence[Row], *, hashed: bool = False) -> None:
    """Raise a StoreError of one line that names the first row which breaks a rule of its table, and the rule.

    `hashed`: keys, and a curve's points, were just computed from the content, and are not computed again.
    """
    try:
        _rows_type(table.name).validate_python(rows)
    except ValidationError as error:
        raise StoreError(_message(table, rows, error)) from None
    for checks in (_CONSISTENT, {} if hashed else _DERIVED):
        if (reason_of := checks.get(table.name)) is None:
            continue
        for row in rows:
            if reason := reason_of(row):
                raise StoreError(f"{named(table, row)}: {reason}")


def named(table: Table, row: Mapping[str, Any]) -> str:
    """The row's name in a message: its table and its natural key."""
    by = _NATURAL_KEYS.get(table.name) or [column.name for column in table.primary_key]
    return " ".join([table.name, *(short(row.get(name)) for name in by)])


def short(value: Any) -> str:
    """A value of any type as a short part of a message."""
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() and value else ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _message(table: Table, rows: Sequence[Row], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    index, *path = first["loc"]
    where = ".".join(map(short, path))
    rule = _RULE_TEXTS.get(first["type"]) or first["msg"].removeprefix("Value error, ").lower()
    rule = rule.replace("input should", "it should")
    return f"{named(table, rows[int(index)])}: {where} = {short(ascii(first['input']))}: {rule}"


@cache
def _rows_type(table: str) -> TypeAdapter[Any]:
    """The type of a list of a table's rows. A column may be missing, as it may have a default."""
    columns = {column.name: _column_type(column) for column in metadata.tables[table].columns}
    row = with_config(ConfigDict(strict=True, extra="forbid"))(_typed_dict(table, columns, total=False))
    return TypeAdapter(_list[row])


def _column_type(column: Column[Any]) -> Any:
    kind = _type_without_null(column)
    return kind | None if column.nullable else kind


def _type_without_null(column: Column[Any]) -> Any:
    where = (column.table.name, column.name)
    if where == ("cell", "options"):
        return Annotated[str, Field(max_length=_LINE), AfterValidator(_options)]
    if where in _WORDS:
        return Literal[_WORDS[where]]
    if isinstance(column.type, Boolean):
        return bool
    if isinstance(column.type, Integer):
        return Annotated[int, Field(ge=0, le=_LARGEST)]
    if isinstance(column.type, Double):
        return Annotated[float, _number(where)]
    if isinstance(column.type, JSON):
        return _OBJECTS.get(column.name, _dict[_text(_LINE), _text(_LINE)])
    if isinstance(column.type, LargeBinary):
        return Annotated[bytes, Field(max_length=_MOST)]
    return _text(_MOST if isinstance(column.type, Text) else _NAME if _is_indexed(column) else _LINE)


def _options(text: str) -> str:
    """The options of a cell: a canonical JSON object of names and plain values."""
    try:
        named = json.loads(text)
    except (RecursionError, json.JSONDecodeError):
        raise ValueError("it should be JSON") from None
    if not isinstance(named, dict) or canonical(named) != text:
        raise ValueError("it should be a JSON object with sorted names and no spaces")
    for name, value in named.items():
        if not OPTION_NAME.fullmatch(name) or name in metadata.tables["cell"].c:
            raise ValueError(f"{short(name)} should be a name of its own, or names with dots between")
        if isinstance(value, dict | list) or (isinstance(value, int) and abs(value) >= _TOO_LARGE):
            raise ValueError(f"{name} should be a number below 2**63, a text, true, false or null")
    _accepted_json(named)
    return text


def _number(where: tuple[str, str]) -> Any:
    if where in _MAY_BE_INFINITE:
        return AfterValidator(_no_nan)
    if where[1] in _TIMES:
        return Field(ge=0, le=_YEAR_9999, allow_inf_nan=False)
    return Field(allow_inf_nan=False)


def _no_nan(value: float) -> float:
    if math.isnan(value):
        raise ValueError("it should be a number")
    return value


def _text(longest: int) -> Any:
    return Annotated[str, Field(max_length=longest, pattern=r"^[^\x00]*$")]  # PostgreSQL takes no zero byte


def _is_indexed(column: Column[Any]) -> bool:
    """Whether an index holds the column."""
    table = column.table
    unique = (constraint.columns for constraint in table.constraints if hasattr(constraint, "columns"))
    return any(column.name in columns for columns in (*unique, *(index.columns for index in table.indexes)))


def _accepted_json(value: JsonValue) -> JsonValue:
    """The value, if every engine accepts it as JSON: finite numbers, and Unicode texts without a zero byte."""
    if "\\u0000" in json.dumps(value, allow_nan=False):
        raise ValueError("a text with a zero byte")
    json.dumps(value, ensure_ascii=False).encode()
    return value


_OBJECTS: Mapping[str, Any] = {
    "shape": Annotated[list[Annotated[int, Field(ge=0, le=_LARGEST)]], Field(max_length=32)],
    "measure": _dict[_text(_LINE), FiniteFloat],
    "goals": _dict[_text(_LINE), _dict[Literal[tuple(vars(Goal()))], FiniteFloat]],
    "asked": Annotated[dict[str, JsonValue], AfterValidator(_accepted_json)],
}


def _cell_fault(row: Row) -> str:
    return _hash_fault(row["key"], cell_of(row).key)


def _sweep_fault(row: Row) -> str:
    return _hash_fault(row["sha"], sha_of(row["name"], row["text"]))


def _environment_fault(row: Row) -> str:
    return _hash_fault(row["fingerprint"], Environment(row["facts"]).fingerprint)


def _source_fault(row: Row) -> str:
    return _hash_fault(row["key"], Source(row["facts"]).key)


def _true_values_fault(row: Row) -> str:
    import numpy  # no other row needs it

    if len(row["array"]) != 8 * math.prod(row["shape"]):
        return f"its array has {len(row['array'])} bytes, which is not what its shape {short(row['shape'])} asks for"
    if not numpy.isfinite(numpy.frombuffer(row["array"], "<f8")).all():
        return "its array has values that are not finite, as true values are"
    fields = ("problem", "name", "asked", "provenance", "array")
    return _hash_fault(row["key"], TrueValues(**{name: row[name] for name in fields}, shape=tuple(row["shape"])).key)


def _curve_fault(row: Row) -> str:
    asked = (8 * row["length"], 8 * row["length"] * row["width"])
    if (len(row["x"]), len(row["y"])) != asked:
        return f"x and y have {len(row['x'])} and {len(row['y'])} bytes, which is not what length and width ask for"
    return ""


def _points_fault(row: Row) -> str:
    return "" if row["points"] == points_of(row) else "its points are not what its x and y say"


def _hash_fault(key: str, content: str) -> str:
    return "" if key == content else f"its key is no hash of its content, which is {short(content)}"


# The fault of a row, by table; empty if it has none.
_CONSISTENT: Mapping[str, Callable[[Row], str]] = {"curve": _curve_fault}
_DERIVED: Mapping[str, Callable[[Row], str]] = {
    "cell": _cell_fault,
    "sweep": _sweep_fault,
    "environment": _environment_fault,
    "source": _source_fault,
    "reference": _true_values_fault,
    "curve": _points_fault,
}
