"""Cells chosen by a line of text, such as `solver=dopri5,tsit5 dt=none`: one filter for sweeps and for databases."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, get_args

from sqlalchemy import select

from results.engine.database import Database
from results.engine.location import AskedError
from results.names import LISTED, did_you_mean, nearest
from results.read import frames
from results.read.where import CELL_FIELDS, KINDS, Where, as_tuple
from results.records import OPTION_NAME, Cell
from results.schema.rows import cell_of
from results.schema.tables import cell as cells


class FilterError(AskedError):
    """A filter that cannot be read, or that no cell meets: one line for the user."""


_FIELDS = ("key", *CELL_FIELDS)  # any other name is that of an option
_MAY_LACK = {each.name for each in fields(Cell) if type(None) in get_args(each.type)}  # `none` asks for no value
_MAY_BE_EMPTY = {each.name for each in fields(Cell) if each.default == ""}  # `none` asks for an empty text
_VALUE = r"""'[^']*'|"[^"]*"|[^\s,'"][^\s,]*"""
_LITERALS = {"true": True, "false": False, "none": math.nan}  # the values of an option that are no text without quotes
_CONDITION = re.compile(rf"([\w.]+)=((?:{_VALUE})(?:,(?:{_VALUE}))*)(?=\s|$)")


def parse(texts: Iterable[str]) -> Where:
    """The condition that all of the texts hold, each of them `field=value[,value...]` parts with spaces between.

    The fields are those of a cell, `key` for the start of its key, and the names of options, such as `problem.width`.
    `none` asks for cells without a value, such as dt with adaptive steps, or with the problem's own optimiser. A value
    with spaces or commas is quoted, and so is an option's text that looks like a number, true, false or none. A
    FilterError if the text is no such condition.
    """
    asked: dict[str, list[Any]] = {}
    for text in texts:
        for name, values in _conditions(text):
            asked[name] = _intersection(name, asked[name], values) if name in asked else values
    of_fields = {_field(name): values for name, values in asked.items() if name in _FIELDS}
    options = {name: values for name, values in asked.items() if name not in _FIELDS}
    try:
        return Where(**of_fields, options=options or None)
    except ValueError as error:
        raise FilterError(f"only: {error}") from error


def matches(where: Where, cell: Cell) -> bool:
    """Whether the cell meets the condition, by the rules of the database."""
    where.refuse("a cell", "run_id", "fingerprint", "kind", "status", "name", "baseline")
    if where.cell_key is not None and cell.key not in as_tuple(where.cell_key):
        return False
    return all(_has(name, cell, wanted) for name, wanted in _asked(where))


def choose(where: Where, among: Sequence[Cell]) -> list[Cell]:
    """The cells that meet the condition. A FilterError if no cell does, or no cell has one of its values."""
    options = [cell.option_values for cell in among] if where.options else []
    _refuse_unknown_values(where, lambda name: [_value(name, cell) for cell in among], options)
    chosen = [cell for cell in among if matches(where, cell)]
    if not chosen:
        raise _no_cell_error(where)
    return chosen


def check(database: Database, where: Where) -> None:
    """Raise a FilterError if no cell of the database meets the condition, or no cell has one of its values."""
    with database.reading() as connection:
        texts = connection.scalars(select(cells.c.options).distinct()).all() if where.options else []
        options = [json.loads(text) for text in texts]
        _refuse_unknown_values(where, lambda name: connection.scalars(select(cells.c[name]).distinct()).all(), options)
        if connection.execute(select(cells.c.key).where(*where.on_cells()).limit(1)).first() is None:
            raise _no_cell_error(where)


def found(database: Database, where: Where) -> list[Cell]:
    """The cells of the database that meet the condition, by key."""
    with database.reading() as connection:
        return [cell_of(row._asdict()) for row in connection.execute(frames.cells(where))]


def _conditions(text: str) -> Iterator[tuple[str, list[Any]]]:
    rest = text.lstrip()
    if not rest:
        raise FilterError("only: an empty filter: write field=value, such as solver=dopri5,tsit5, or leave --only out")
    while rest:
        found = _CONDITION.match(rest)
        if found is None:
            raise FilterError(
                f"only: {rest.split()[0]!r} is no condition: write field=value or field=value,value, with spaces only "
                'between conditions, such as "solver=dopri5,tsit5 device=cpu"'
            )
        name, values = found.groups()
        yield name, [_read(name, value) for value in re.findall(_VALUE, values)]
        rest = rest[found.end() :].lstrip()


def _read(name: str, written: str) -> Any:
    """The written value, as the field or the option holds it."""
    if name not in _FIELDS:
        return _read_option(name, written)
    text = written[1:-1] if written[0] in "'\"" else written
    if name == "key":
        if not re.fullmatch("[0-9a-fA-F]{1,16}", text):
            raise FilterError(f"only: key={text}: a key is at most 16 hexadecimal digits: write the first few of them")
        return text.lower()
    if name in _MAY_LACK and written == "none":
        return math.nan
    if name in _MAY_BE_EMPTY and written == "none":
        return ""
    try:
        return KINDS[name].read(text)
    except ValueError:
        or_none = ", or none" if name in _MAY_LACK else ""
        raise FilterError(f"only: {name}={text}: {name} is {KINDS[name].word}{or_none}: write such a value") from None


def _read_option(name: str, written: str) -> Any:
    """The written value of an option; its type follows from how it is written, as no column has a type for it."""
    if not OPTION_NAME.fullmatch(name):
        raise _unknown(name, ())
    if written[0] in "'\"":
        return written[1:-1]
    if written in _LITERALS:
        return _LITERALS[written]
    for kind in ("seed", "horizon"):  # a whole number, else a number
        with suppress(ValueError):
            return KINDS[kind].read(written)
    return written


def _intersection(name: str, some: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The values that both conditions on the field allow."""
    if name == "key":
        both = [max(one, other, key=len) for one in some for other in others if _has_prefix(one, other)]
    else:
        both = [one for one in some if any(_same(one, other) for other in others)]
    if not both:
        first, second = (_written(name, values) for values in (some, others))
        raise FilterError(f"only: no cell has {first} and {second}: write {name}=..., with commas, for any of several")
    return both


def _has_prefix(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _same(one: Any, other: Any) -> bool:
    if one != one or other != other:  # NaN stands for no value
        return bool(one != one and other != other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _field(name: str) -> str:
    """The name that a filter's field has in Where."""
    return "key_start" if name == "key" else name


def _asked(where: Where) -> list[tuple[str, tuple[Any, ...]]]:
    """The values that the condition asks for, by the name of the field or option in a filter."""
    wanted = [(name, getattr(where, _field(name))) for name in _FIELDS]
    options = (where.options or {}).items()
    return [(name, as_tuple(values)) for name, values in (*wanted, *options) if values is not None]


def _value(name: str, cell: Cell) -> Any:
    if name not in _FIELDS:
        return cell.option_values.get(name)
    return cell.key if name == "key" else getattr(cell, name)


def _has(name: str, cell: Cell, wanted: Collection[Any]) -> bool:
    return any(_holds(name, _value(name, cell), one) for one in wanted)


def _holds(name: str, value: Any, wanted: Any) -> bool:
    """Whether a cell's value, None if it has none, is the wanted one."""
    if name == "key":
        return bool(value.startswith(wanted))
    return bool(wanted != wanted) if value is None else _same(value, wanted)


def _refuse_unknown_values(
    where: Where, values_of: Callable[[str], Iterable[Any]], options: Collection[Mapping[str, Any]]
) -> None:
    """Raise a FilterError for the first option or value that no cell has, with the known ones.

    `values_of`: the cells' values of a field. `options`: the cells' options.
    """
    for name, wanted in _asked(where):
        if name in _FIELDS:
            there: Collection[Any] = set(values_of(name))
        elif any(name in named for named in options):
            of_cells = (named.get(name) for named in options)
            there = {json.dumps(value): value for value in of_cells}.values()  # True is not 1
        else:
            raise _unknown(name, {one for named in options for one in named})
        for one in wanted:
            if not any(_holds(name, value, one) for value in there):
                raise FilterError(f"only: no cell has {_written(name, [one])}.{_known_values(name, one, there)}")


def _unknown(name: str, options: Collection[str]) -> FilterError:
    """The error for the name of a field or an option that no cell has."""
    if "." in name:
        return FilterError(f"only: no cell has an option {name!r}{nearest(name, sorted(options))}")
    known = (*_FIELDS, *sorted(options))
    return FilterError(f"only: unknown field {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")


def _known_values(name: str, wanted: Any, there: Collection[Any]) -> str:
    """The values that cells have, the most like the wanted one first, as the end of a message."""
    if name == "key":
        return f" There are {len(there)} keys: nodebench plan SWEEP and nodebench show print them"
    if isinstance(wanted, str):
        texts = sorted(value for value in there if isinstance(value, str))
        hint, ordered = did_you_mean(wanted, texts), [*texts, *(value for value in there if not isinstance(value, str))]
    else:
        hint, ordered = "", sorted(there, key=lambda value: (_distance(value, wanted), str(value)))
    said = ", ".join(_literal(math.nan if value is None else value) for value in ordered[:LISTED])
    more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
    return f"{hint} There are: {said or 'no cells'}{more}"


def _distance(value: Any, wanted: float) -> float:
    """The distance of a cell's value from the wanted number; infinite for a value that is no number."""
    if not isinstance(value, int | float):
        return math.inf
    return 0.0 if math.isnan(wanted) else abs(value - wanted)


def _no_cell_error(where: Where) -> FilterError:
    asked = " ".join(_written(name, wanted) for name, wanted in _asked(where))
    return FilterError(f"only: no cell meets all of {asked}, though each is met by some: leave one out")


def _written(name: str, values: Iterable[Any]) -> str:
    return f"{name}={','.join(map(_literal, values))}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    return "none" if value != value or value == "" else repr(value)
