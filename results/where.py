"""What of the database is wanted: conditions on cells, runs and trials, which the database itself applies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Double, String, and_, cast, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from results.records import Cell
from results.tables import cell, run, trial

_KEY_DIGITS = 16  # hexadecimal, of a cell's key
Text = str | Collection[str] | None
Number = float | Collection[float] | None
Whole = int | Collection[int] | None


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition: each field is one value, several of them, or None for any.

    Several: any collection, also a column of a frame, of as many as you like. NaN asks for the cells that have none:
    `Where(dt=math.nan)` for adaptive steps. A value that the column cannot hold is a ValueError.
    """

    run_id: Text = None
    fingerprint: Text = None  # of the environment
    cell_key: Text = None
    kind: Text = None  # of the trial
    status: Text = None
    name: Text = None  # of the metric, sample series or curve

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

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, _checked(each.name, getattr(self, each.name), _KINDS[str(each.type)]))

    def refuse(self, frame: str, *names: str) -> None:
        """Raise a ValueError where one of these is asked for: nothing in the frame could meet it."""
        for name in names:
            if getattr(self, name) is not None:
                raise ValueError(f"{frame} cannot be chosen by {name}={getattr(self, name)!r}: leave it out")

    def on_cells(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `cell`."""
        of_fields = [among(cell.c[each.name], getattr(self, each.name)) for each in fields(Cell)]
        return _given([among(cell.c.key, self.cell_key), *of_fields])

    def on_runs(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `run`."""
        return _given([among(run.c.id, self.run_id), among(run.c.fingerprint, self.fingerprint)])

    def on_trials(self) -> list[ColumnElement[bool]]:
        """The conditions on the table `trial`, but for those on its end."""
        keys = among(trial.c.cell_key, self.cell_key)
        if any(getattr(self, each.name) is not None for each in fields(Cell)):
            keys = trial.c.cell_key.in_(select(cell.c.key).where(*self.on_cells()))
        return _given([keys, among(trial.c.run_id, self.run_id), among(trial.c.kind, self.kind)])


def among(column: ColumnElement[Any], wanted: Any) -> ColumnElement[bool] | None:
    """That the column has the value, or one of the values, wanted; None if any will do."""
    if wanted is None:
        return None
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    if isinstance(column.type, Double):
        numbers = column.in_([value for value in values if not math.isnan(value)])
        return or_(numbers, column.is_(None)) if any(map(math.isnan, values)) else numbers
    if len(values) == 1:
        return column == values[0]
    # As many as there may be: the number of parameters is limited, the length of a text is not.
    value = _listed(literal(json.dumps(values))).table_valued("value").c.value
    return column.in_(select(cast(value, String if isinstance(column.type, String) else BigInteger)))


def begins(start: str) -> ColumnElement[bool]:
    """That a cell's key begins so. The range is what an index can find, in any order of letters."""
    low, high = start.ljust(_KEY_DIGITS, "0"), start.ljust(_KEY_DIGITS, "f")
    return and_(cell.c.key.between(low, high), cell.c.key.startswith(start, autoescape=True))


def _checked(name: str, wanted: Any, kind: _Kind) -> Any:
    """The wanted as plain values: one, or a tuple of them."""
    if wanted is None:
        return None
    several = isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes | Mapping)
    values = tuple(wanted) if several else (wanted,)
    for value in values:
        if not isinstance(value, kind.type) or isinstance(value, bool):
            raise ValueError(f"{name}={value!r}: {name} is {kind.word}: pass one, several in a list, or None for any")
    plain = tuple(map(kind.plain, values))
    return plain if several else plain[0]


class _Kind(NamedTuple):
    type: type
    plain: Callable[[Any], Any]  # JSON and the drivers know no NumPy
    word: str


_KINDS = {
    "Text": _Kind(str, str, "a text"),
    "Number": _Kind(Real, float, "a number"),
    "Whole": _Kind(Integral, int, "a whole number"),
}


def _given(conditions: list[ColumnElement[bool] | None]) -> list[ColumnElement[bool]]:
    return [condition for condition in conditions if condition is not None]


class _listed(FunctionElement[Any]):  # noqa: N801  (a function of SQL)
    """The values of a JSON array, one a row."""

    inherit_cache = True
    name = "listed"


@compiles(_listed, "sqlite")
def _listed_in_sqlite(element: _listed, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_listed, "postgresql")
def _listed_in_postgresql(element: _listed, compiler: Any, **kw: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS JSON))"
