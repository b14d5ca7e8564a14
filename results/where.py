"""What of the database is wanted: conditions on cells, runs and trials, which the database itself applies."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Boolean, ColumnElement, String, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from results.records import Cell
from results.tables import cell, run, trial

Text = str | Collection[str] | None
Number = float | Collection[float] | None
Whole = int | Collection[int] | None


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition: each field is one value, several of them, or None for any."""

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
    dtype: Text = None
    device: Text = None
    horizon: Number = None
    rtol: Number = None
    atol: Number = None
    dt: Number = None
    n_outputs: Whole = None
    batch_size: Whole = None
    threads: Whole = None
    seed: Whole = None
    iterations: Whole = None

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
    if isinstance(wanted, str | float | int):
        return column == wanted
    values = list(wanted)
    if isinstance(column.type, String):  # as many as there may be: parameters are limited, the length of a text is not
        return column.op("IN", is_comparison=True, return_type=Boolean())(_strings(literal(json.dumps(values))))
    return column.in_(values)


def _given(conditions: list[ColumnElement[bool] | None]) -> list[ColumnElement[bool]]:
    return [condition for condition in conditions if condition is not None]


class _strings(FunctionElement[str]):  # noqa: N801  (a function of SQL)
    """The strings of a JSON array, one a row."""

    inherit_cache = True
    name = "strings"


@compiles(_strings, "sqlite")
def _strings_of_sqlite(element: _strings, compiler: Any, **kw: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **kw)}))"


@compiles(_strings, "postgresql")
def _strings_of_postgresql(element: _strings, compiler: Any, **kw: Any) -> str:
    return f"(SELECT json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS JSON)))"
