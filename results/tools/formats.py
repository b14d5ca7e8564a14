"""The file formats that other tools read: CSV, JSON, JSON Lines, Parquet. The rows are never all in memory."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from results.engine.json_text import as_json
from results.engine.location import StoreError
from results.escaping import csv_lines, no_formula
from results.names import did_you_mean
from results.schema.rows import Row


class Sink(Protocol):
    """A file, or anything else that bytes are written to."""

    def write(self, written: bytes, /) -> object:
        """Write all of the bytes."""

    def flush(self) -> object:
        """Pass on all buffered bytes."""


Types = Mapping[str, Any]  # of each column: a type, "json" for an object, or "vector" or "rows" for a curve's arrays
Writer = Callable[[Sink, Types, Iterable[Sequence[Row]]], int]  # returns the number of rows written


def writer_of(path: Path) -> Writer:
    """The writer for a file, by the file's suffix in upper or lower case."""
    name = path.name.lower()
    for suffix, writer in SUFFIXES.items():
        if name.endswith(suffix):
            return writer
    seen = "".join(path.suffixes[-2:] if name.endswith(".gz") else path.suffixes[-1:])
    named = f"has the suffix {seen!r}" if seen else "has no suffix"
    known = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
    raise StoreError(f"{path} {named}: name the file {known}.{did_you_mean(seen.lower(), SUFFIXES)}")


def _write_csv(file: Sink, types: Types, parts: Iterable[Sequence[Row]]) -> int:
    count = 0
    file.write(csv_lines([list(types)]))
    for part in parts:
        file.write(csv_lines([_no_formula(row[name], kind) for name, kind in types.items()] for row in part))
        count += len(part)
    return count


def _no_formula(value: Any, kind: Any) -> Any:
    """The value as a text that no spreadsheet takes for a formula: any program may have printed it."""
    return no_formula(value) if kind is str and value is not None else _text_of(value, kind)


def _write_jsonl(file: Sink, types: Types, parts: Iterable[Sequence[Row]]) -> int:
    count = 0
    for part in parts:
        file.write("".join(f"{line}\n" for line in _json(types, part)).encode())
        count += len(part)
    return count


def _write_json(file: Sink, types: Types, parts: Iterable[Sequence[Row]]) -> int:
    """Write the rows as a JSON array, with a row on each line."""
    count = 0
    file.write(b"[")
    for part in parts:
        lines = ",\n".join(_json(types, part))
        file.write(f"{',' if count and part else ''}\n{lines}".encode())
        count += len(part)
    file.write(b"\n]\n")
    return count


def _json(types: Types, part: Iterable[Row]) -> Iterator[str]:
    return (as_json({name: row[name] for name in types}) for row in part)


def _write_parquet(file: Sink, types: Types, parts: Iterable[Sequence[Row]]) -> int:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise StoreError("Parquet needs the Python package pyarrow: pip install 'pyarrow'") from error
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
    with ParquetWriter(file, schema) as writer:
        for part in parts:
            columns = {n: [_text_of(row[n], k) if k == "json" else row[n] for row in part] for n, k in types.items()}
            writer.write_table(pyarrow.table(columns, schema=schema))
            count += len(part)
    return count


def _text_of(value: Any, kind: Any) -> Any:
    """The value for a format without types: an object or an array as JSON."""
    return as_json(value) if isinstance(kind, str) and value is not None else value


def _compressed(write: Writer) -> Writer:
    def write_compressed(file: Sink, types: Types, parts: Iterable[Sequence[Row]]) -> int:
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as inner:  # no time: equal rows give equal files
            return write(inner, types, parts)

    return write_compressed


STREAMED: Mapping[str, Writer] = {"csv": _write_csv, "json": _write_json, "jsonl": _write_jsonl}
SUFFIXES: Mapping[str, Writer] = {
    **{f".{name}": write for name, write in STREAMED.items()},
    ".parquet": _write_parquet,
    **{f".{name}.gz": _compressed(write) for name, write in STREAMED.items()},
}
