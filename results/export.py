"""Frames as files, for other tools: CSV, Parquet, JSON Lines. Written whole or not at all, and never all in memory."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Select, select

from results import frames
from results.chunks import chunks
from results.location import StoreError
from results.rows import Row
from results.store import Store
from results.tables import cell, curve, metric, planned, run, sample
from results.where import Where

_CHUNK = 20_000  # rows in memory
_CHUNK_OF_CURVES = 200  # each may hold thousands of numbers


def export(store: Store, path: Path, *, frame: str = "summary", where: Where | None = None) -> int:
    """Write one of FRAMES to a file whose suffix says the format; how many rows."""
    write = _writer(path)
    query = FRAMES[frame](where or Where())
    draft = path.with_name(f".{path.name}.draft-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.database.reading() as connection:
            size = _CHUNK_OF_CURVES if frame == "curves" else _CHUNK
            count = write(draft, _types(query), map(_unpacked, chunks(connection, query, size)))
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror or error}): pass another file") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return count


_ARRAYS = {"x": "vector", "y": "rows"}  # of a curve
_Types = Mapping[str, Any]  # of each column: a type, "json" for an object, or "vector" or "rows" for a curve's arrays
_Writer = Callable[[Path, _Types, Iterable[Sequence[Row]]], int]


def _writer(path: Path) -> _Writer:
    if path.suffix not in WRITERS:
        raise StoreError(f"{path} has the suffix {path.suffix!r}: name the file {', '.join(f'*{s}' for s in WRITERS)}")
    return WRITERS[path.suffix]


def _runs(where: Where) -> Select[Any]:
    """The runs that planned such cells."""
    query = frames.runs().where(*where.on_runs())
    if where.on_cells():
        query = query.where(run.c.id.in_(select(planned.c.run_id).join(cell).where(*where.on_cells())))
    return query


FRAMES: Mapping[str, Callable[[Where], Select[Any]]] = {
    "summary": frames.summaries,
    "runs": _runs,
    "cells": frames.cells,
    "trials": frames.trials,
    "metrics": lambda where: frames.measured(metric, where),
    "samples": lambda where: frames.measured(sample, where),
    "curves": lambda where: frames.measured(curve, where),
    "noise_floors": frames.noise_floors,
}


def _types(query: Select[Any]) -> _Types:
    columns = {column.name: column.type for column in query.selected_columns}
    if "x" in columns:
        columns = {name: kind for name, kind in columns.items() if name not in ("length", "width")}
    return {
        name: _ARRAYS.get(name, "json" if isinstance(kind, JSON) else kind.python_type)
        for name, kind in columns.items()
    }


def _unpacked(rows: list[Row]) -> list[Row]:
    """A curve's blobs as lists of numbers."""
    if not rows or "x" not in rows[0]:
        return rows
    import numpy

    for row in rows:
        length, width = row.pop("length"), row.pop("width")
        row["x"] = numpy.frombuffer(row["x"], "<f8").tolist()
        row["y"] = numpy.frombuffer(row["y"], "<f8").reshape(length, width).tolist()
    return rows


def _write_csv(path: Path, types: _Types, parts: Iterable[Sequence[Row]]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(types)
        for part in parts:
            writer.writerows([_text_of(row[name], kind) for name, kind in types.items()] for row in part)
            count += len(part)
    return count


def _write_jsonl(path: Path, types: _Types, parts: Iterable[Sequence[Row]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for part in parts:
            file.writelines(json.dumps({name: row[name] for name in types}, ensure_ascii=False) + "\n" for row in part)
            count += len(part)
    return count


def _write_parquet(path: Path, types: _Types, parts: Iterable[Sequence[Row]]) -> int:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise StoreError(f"{path.suffix} needs the Python package pyarrow: pip install 'pyarrow'") from error
    vector = pyarrow.list_(pyarrow.float64())
    arrow = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        "json": pyarrow.string(),
        "vector": vector,
        "rows": pyarrow.list_(vector),
    }
    schema = pyarrow.schema([(name, arrow[kind]) for name, kind in types.items()])
    count = 0
    with ParquetWriter(path, schema) as writer:
        for part in parts:
            columns = {n: [_text_of(row[n], k) if k == "json" else row[n] for row in part] for n, k in types.items()}
            writer.write_table(pyarrow.table(columns, schema=schema))
            count += len(part)
    return count


def _text_of(value: Any, kind: Any) -> Any:
    """What has no type of its own in a text, as JSON."""
    return json.dumps(value) if isinstance(kind, str) and value is not None else value


WRITERS: Mapping[str, _Writer] = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_jsonl}
