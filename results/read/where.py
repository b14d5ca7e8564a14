"""Conditions on cells, runs and trials, which the database itself applies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Double, String, and_, cast, false, func, literal, or_, select

from results.engine.json_list import listed
from results.engine.json_value import has_one_of
from results.engine.location import AskedError, AskedTypeError
from results.names import nearest
from results.records import OPTION_NAME, TRIAL_KINDS, TRIAL_STATUSES, Cell
from results.schema.tables import baseline_trial, cell, run, trial

_KEY_DIGITS = 16  # hexadecimal, of a cell's key
_TOO_LARGE = 2**63
_MOST_NUMBERS = 30_000  # each is a parameter of the statement; SQLite takes 32,766
Text = str | Collection[str] | None
Number = float | Collection[float] | None
Whole = int | Collection[int] | None
Options = Mapping[str, Any] | None  # by name: a number, a text, a boolean, or several of them


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition: each field is one value, a collection of values, or None for any value.

    A collection may be a column of a frame, and has any length, but at most 30,000 different floating point numbers.
    NaN asks for the cells without a value: `Where(dt=math.nan)` for adaptive steps. A value that the column cannot hold
    is an AskedError, and so is an unknown kind, status or metric; a value of a wrong type is a TypeError too. Options
    are asked for by name, as in `Where(options={"problem.width": [64, 256]})`; NaN asks for the cells without the
    option.
    """

    run_id: Text = None
    fingerprint: Text = None  # of the environment
    cell_key: Text = None
    key_start: Text = None  # hexadecimal digits that the cell's key begins with
    kind: Text = None  # of the trial
    status: Text = None
    name: Text = None  # of the metric, sample series or curve
    source: Text = None  # key of the code that was measured; empty: not known
    prefer: Text = None  # keys of code whose trials are preferred; no trial is excluded
    baseline: Text = None  # its name: only the trials that were saved under it

    problem: Text = None
    backend: Text = None
    solver: Text = None
    gradient: Text = None
    optimiser: Text = None
    evaluate: Text = None
    dtype: Text = None
    device: Text = None
    horizon: Number = None
    rtol: Number = None
    atol: Number = None
    dt: Number = None
    learning_rate: Number = None
    n_outputs: Whole = None
    batch_size: Whole = None
    threads: Whole = None
    seed: Whole = None
    iterations: Whole = None
    options: Options = None

    def __post_init__(self) -> None:
        for name in KINDS:
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        object.__setattr__(self, "options", _checked_options(self.options))

    def refuse(self, frame: str, *names: str) -> None:
        """Raise an AskedError if one of these fields is set: no row of the frame could meet it."""
        for name in names:
            if getattr(self, name) is not None:
                raise AskedError(f"{frame} cannot be chosen by {name}={getattr(self, name)!r}: leave it out")

    def on_cells(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `cell`."""
        of_fields = [among(cell.c[name], getattr(self, name)) for name in CELL_FIELDS]
        of_options = [has_one_of(cell.c.options, name, as_tuple(one)) for name, one in (self.options or {}).items()]
        return _given([among(cell.c.key, self.cell_key), _begins_with_one_of(self.key_start), *of_fields, *of_options])

    def on_runs(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `run`."""
        return _given([among(run.c.id, self.run_id), among(run.c.fingerprint, self.fingerprint)])

    def on_trials(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `trial`, except that on the status."""
        keys = among(trial.c.cell_key, self.cell_key)
        asked = (self.key_start, self.options, *(getattr(self, name) for name in CELL_FIELDS))
        if any(one is not None for one in asked):
            keys = trial.c.cell_key.in_(select(cell.c.key).where(*self.on_cells()))
        of_code = among(func.coalesce(trial.c.source, ""), self.source)
        saved = among(baseline_trial.c.name, self.baseline)
        members = None if saved is None else trial.c.id.in_(select(baseline_trial.c.trial_id).where(saved))
        return _given([keys, among(trial.c.run_id, self.run_id), among(trial.c.kind, self.kind), of_code, members])


def among(column: ColumnElement[Any], wanted: Any) -> ColumnElement[bool] | None:
    """The condition that the column has one of the wanted values; None if any value will do."""
    if wanted is None:
        return None
    values = as_tuple(wanted)
    if isinstance(column.type, Double):
        numbers = column.in_([value for value in values if not math.isnan(value)])
        return or_(numbers, column.is_(None)) if any(map(math.isnan, values)) else numbers
    if len(values) == 1:
        equal: ColumnElement[bool] = column == values[0]
        return equal
    # One text for all values: the number of parameters is limited, the length of a text is not.
    value = listed(literal(json.dumps(values)))
    return column.in_(select(cast(value, String if isinstance(column.type, String) else BigInteger)))


def as_tuple(wanted: Any) -> tuple[Any, ...]:
    """The wanted values of a field, as a tuple."""
    return wanted if isinstance(wanted, tuple) else (wanted,)


def begins(start: str) -> ColumnElement[bool]:
    """The condition that a cell's key begins with the text. An index can find the range, in any collation."""
    low, high = start.ljust(_KEY_DIGITS, "0"), start.ljust(_KEY_DIGITS, "f")
    return and_(cell.c.key.between(low, high), cell.c.key.startswith(start, autoescape=True))


class Kind(NamedTuple):
    """The type of a field's values, in Python and as people write them."""

    type: type
    plain: Callable[[Any], Any]  # from NumPy's types, which JSON and the drivers do not accept
    read: Callable[[str], Any]  # from a text; a ValueError if it is no such value
    word: str


def _read_number(text: str) -> float:
    number = float(_plain(text))
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _plain(text: str) -> str:
    """The text, if a sweep may write a number so: Python also reads `1_0`, and digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return text


def _read_whole(text: str) -> int:
    text = _plain(text)
    try:
        return int(text)
    except ValueError:
        number = float(text)  # 1e3
        if not number.is_integer():
            raise
        return int(number)


_OF_TYPE = {
    "Text": Kind(str, str, str, "a text"),
    "Number": Kind(Real, float, _read_number, "a number"),
    "Whole": Kind(Integral, int, _read_whole, "a whole number"),
}
_WORDS: Mapping[str, tuple[str, ...]] = {"kind": TRIAL_KINDS, "status": TRIAL_STATUSES}
CELL_FIELDS = tuple(each.name for each in fields(Cell) if each.name != "options")
KINDS: Mapping[str, Kind] = {each.name: _OF_TYPE[str(each.type)] for each in fields(Where) if each.name != "options"}


def _checked(name: str, wanted: Any) -> Any:
    """The wanted values of a field as plain values: a single one, or a tuple."""
    if wanted is None:
        return None
    kind = KINDS[name]
    is_several = isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes | Mapping)
    values = tuple(wanted) if is_several else (wanted,)
    for value in values:
        if not isinstance(value, kind.type) or isinstance(value, bool):
            said = f"{name}={value!r}: {name} is {kind.word}: pass one, several in a list, or None for any"
            raise AskedTypeError(said)
        if isinstance(value, Integral) and abs(int(value)) >= _TOO_LARGE:
            raise AskedError(f"{name}: no database holds so large a number: pass one below 2**63")
        if isinstance(value, str) and not _storable(value):
            raise AskedError(f"{name}={value!r}: no database holds such a text: pass one in Unicode")
        if name in _WORDS and value not in _WORDS[name]:
            raise AskedError(f"{name}={value!r}: no trial has such a {name}{nearest(str(value), _WORDS[name])}")
    try:
        plain = tuple(map(kind.plain, values))
    except OverflowError as error:
        raise AskedError(f"{name}: {error}: pass a number that a float can hold") from None
    if kind.type is Real:
        plain = tuple(dict.fromkeys(plain))
        if len(plain) > _MOST_NUMBERS:
            raise AskedError(f"{name}: {len(plain):,} different numbers: pass {_MOST_NUMBERS:,} at most")
    return plain if is_several else plain[0]


def _checked_options(wanted: Any) -> dict[str, Any] | None:
    """The wanted values of options by name, as plain values: a single one, or a tuple. None if any will do."""
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping):
        raise AskedTypeError(f"options={wanted!r}: pass a mapping of names, as in options={{'problem.width': 64}}")
    found = {}
    for name, values in wanted.items():
        if not isinstance(name, str) or not OPTION_NAME.fullmatch(name):
            raise AskedError(f"options: {name!r} is no name of an option: pass one such as 'problem.width'")
        if values is not None:
            found[name] = _checked_option(name, values)
    return found or None


def _checked_option(name: str, wanted: Any) -> Any:
    is_several = isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes | Mapping)
    values = [value.item() if hasattr(value, "item") else value for value in (wanted if is_several else (wanted,))]
    for value in values:
        if not isinstance(value, str | bool | int | float):
            raise AskedTypeError(f"{name}={value!r}: an option is a number, a text, True or False: pass one of these")
        if isinstance(value, int) and abs(value) >= _TOO_LARGE:
            raise AskedError(f"{name}: no database holds so large a number: pass one below 2**63")
        if isinstance(value, str) and not _storable(value):
            raise AskedError(f"{name}={value!r}: no database holds such a text: pass one in Unicode")
    if len(values) > _MOST_NUMBERS:
        raise AskedError(f"{name}: {len(values):,} values: pass {_MOST_NUMBERS:,} at most")
    return tuple(values) if is_several else values[0]


def _storable(text: str) -> bool:
    """Whether every engine can store the text: one without zero bytes and without halves of surrogate pairs."""
    return "\0" not in text and text.encode(errors="replace").decode() == text


def _begins_with_one_of(starts: Any) -> ColumnElement[bool] | None:
    if starts is None:
        return None
    return or_(false(), *map(begins, as_tuple(starts)))


def _given(conditions: list[ColumnElement[bool] | None]) -> list[ColumnElement[bool]]:
    return [condition for condition in conditions if condition is not None]
