"""The records as rows of the schema, and rows as records."""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any

from results.engine.json_text import as_json
from results.records import Cell, Curve, Goal, Planned, Run, Source, Trial

Row = dict[str, Any]
_MOST_POINTS = 10_000  # numbers of a curve, x and y together
_FIELDS = tuple(each.name for each in fields(Cell))


def sweep_row(run: Run) -> Row:
    """The row of a run's sweep. Its hash covers the name too, because a copy of a sweep file is another sweep."""
    return {"name": run.sweep_name, "text": run.sweep_text, "sha": sha_of(run.sweep_name, run.sweep_text)}


def sha_of(name: str, text: str) -> str:
    """The SHA-256 of a sweep's name and text, hexadecimal."""
    return hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()


def environment_row(run: Run) -> Row:
    """The row of a run's environment."""
    return {"fingerprint": run.environment.fingerprint, "facts": dict(run.environment.facts)}


def source_rows(sources: Iterable[Source]) -> list[Row]:
    """The rows of the sources, without repetitions."""
    return [{"key": key, "facts": dict(facts)} for key, facts in {one.key: one.facts for one in sources}.items()]


def run_row(run: Run, *, sweep_id: int, sequence: int) -> Row:
    """The row of a run that has just begun."""
    return {
        "id": run.id,
        "sweep_id": sweep_id,
        "fingerprint": run.environment.fingerprint,
        "state": "running",
        "started_at": run.started_at,
        "git_revision": run.git_revision,
        "git_dirty": run.git_dirty,
        "volatile": dict(run.volatile),
        "merged": False,
        "sequence": sequence,
        "measure": dict(run.measure),
        "goals": {study: _stated_goals(goal) for study, goal in run.goals.items() if _stated_goals(goal)},
    }


def cell_rows(plan: Sequence[Planned]) -> list[Row]:
    """The rows of the planned cells, without repetitions."""
    cells = {planned.cell.key: planned.cell for planned in plan}
    return [{"key": key, **{name: getattr(cell, name) for name in _FIELDS}} for key, cell in cells.items()]


def planned_rows(run_id: str, plan: Sequence[Planned]) -> list[Row]:
    """The rows of a plan, with each cell once in a study, as two grids of a sweep may share a cell."""
    places = dict.fromkeys((planned.study, planned.cell.key) for planned in plan)
    return [
        {"run_id": run_id, "study": study, "cell_key": key, "position": position}
        for position, (study, key) in enumerate(places)
    ]


def trial_row(run_id: str, trial: Trial) -> Row:
    """The row of a trial, without what the trial measured."""
    return {
        "run_id": run_id,
        "cell_key": trial.cell_key,
        "kind": trial.kind,
        "process_index": trial.process_index,
        "status": trial.status,
        "reason": _text(trial.reason),
        "started_at": _unsigned(trial.started_at),
        "duration_s": _unsigned(trial.duration_s),
        "position": trial.position,
        "log_tail": _text(trial.log_tail),
        "source": trial.source,
        "series": trial.series or run_id,
    }


def metric_rows(trial: Trial, *, trial_id: int) -> list[Row]:
    """The rows of a trial's metrics."""
    return [{"trial_id": trial_id, "name": name, "value": _number(value)} for name, value in trial.metrics.items()]


def sample_rows(trial: Trial, *, trial_id: int) -> list[Row]:
    """The rows of a trial's samples."""
    return [
        {
            "trial_id": trial_id,
            "name": name,
            "round_index": one.round_index,
            "position": one.position,
            "value": _number(one.value),
            "repeats": one.repeats,
        }
        for name, series in trial.samples.items()
        for one in series
    ]


def curve_rows(trial: Trial, *, trial_id: int) -> list[Row]:
    """The rows of a trial's curves, with packed arrays."""
    return [{"trial_id": trial_id, "name": name, **_packed(curve)} for name, curve in trial.curves.items()]


def _packed(curve: Curve) -> Row:
    row = {
        "length": len(curve.x),
        "width": len(curve.y[0]) if len(curve.y) else 0,
        "x": _pack(curve.x),
        "y": _pack([value for point in curve.y for value in point]),
    }
    return {**row, "points": points_of(row)}


def points_of(row: Row) -> str | None:
    """A curve's points as JSON, for queries in SQL; None above 10,000 numbers."""
    length, width = row["length"], row["width"]
    if length * (1 + width) > _MOST_POINTS:
        return None
    x, y = (struct.unpack(f"<{len(row[axis]) // 8}d", row[axis]) for axis in ("x", "y"))
    return as_json([[x[n], *y[n * width : (n + 1) * width]] for n in range(length)])


def cell_of(row: Row) -> Cell:
    """The cell that a row of the table `cell` holds."""
    return Cell(**{name: value for name, value in row.items() if name != "key"})


def _stated_goals(goal: Goal) -> dict[str, float]:
    return {name: value for name, value in asdict(goal).items() if value is not None}


def _number(value: float) -> float | None:
    """The number as SQLite can store it: null for not-a-number, and zero without a sign."""
    return None if value != value else _unsigned(value)


def _unsigned(value: float) -> float:
    return value + 0.0 if isinstance(value, float) else value  # a value that is no number is refused by the rules


def _text(printed: str) -> str:
    """The text as every engine can store it. A process may print anything, and PostgreSQL accepts no zero byte."""
    return printed.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _pack(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)
