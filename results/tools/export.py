"""The export of frames to files for other tools, written whole or not at all, and never all in memory."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Select, select

from results.engine.drafts import drafted
from results.engine.location import StoreError
from results.read import frames
from results.read.where import Where
from results.schema.rows import Row
from results.schema.tables import cell, curve, metric, planned, run, sample
from results.store import Store
from results.tools.chunks import chunks
from results.tools.formats import STREAMED, Sink, Types, Writer, writer_of

_CHUNK = 20_000  # rows in memory
_CHUNK_OF_CURVES = 200  # each may hold thousands of numbers


def export(store: Store, path: Path, *, frame: str = "summary", where: Where | None = None) -> int:
    """Write one of FRAMES to a file whose suffix says the format; the number of rows."""
    write = writer_of(path)
    try:
        with drafted(path) as draft, draft.open("wb") as file:
            return _write(store, write, file, frame, where or Where())
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror or error}): pass another file") from error


def stream(store: Store, file: Sink, *, form: str = "csv", frame: str = "summary", where: Where | None = None) -> int:
    """Write one of FRAMES to an open file, in one of STREAMED; the number of rows. After an error it has a part."""
    return _write(store, STREAMED[form], file, frame, where or Where())


def _write(store: Store, write: Writer, file: Sink, frame: str, where: Where) -> int:
    query = FRAMES[frame](where)
    size = _CHUNK_OF_CURVES if frame == "curves" else _CHUNK
    with store.database.reading() as connection, closing(chunks(connection, query, size)) as parts:
        return write(file, _types(query), map(_unpacked, parts))


_ARRAYS = {"x": "vector", "y": "rows"}  # of a curve


def _runs(where: Where) -> Select[Any]:
    """The query for the runs that meet the condition; with one on cells, those that planned such cells."""
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


def _types(query: Select[Any]) -> Types:
    columns = {column.name: column.type for column in query.selected_columns}
    if "x" in columns:
        columns = {name: kind for name, kind in columns.items() if name not in ("length", "width")}
    return {
        name: _ARRAYS.get(name, "json" if isinstance(kind, JSON) else kind.python_type)
        for name, kind in columns.items()
    }


def _unpacked(rows: list[Row]) -> list[Row]:
    """The rows, with a curve's blobs as lists of numbers."""
    if not rows or "x" not in rows[0]:
        return rows
    import numpy

    for row in rows:
        length, width = row.pop("length"), row.pop("width")
        row["x"] = numpy.frombuffer(row["x"], "<f8").tolist()
        row["y"] = numpy.frombuffer(row["y"], "<f8").reshape(length, width).tolist()
    return rows
