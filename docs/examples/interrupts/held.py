"""The content of a database, read with SQLite alone and not with the code that wrote it."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SINGLE = ("counts", "accuracy", "memory")  # kinds with one successful trial per cell
_AT_TIMES = {"unstable", "cut_ratio"}  # metrics that only the last of several trials has
_TRIAL = "run_id, cell_key, kind, process_index"  # the natural key of a trial

Key = tuple[Any, ...]
Shape = tuple[frozenset[str], frozenset[tuple[str, int]]]  # names of its metrics; clocks, with the number of rounds


@dataclass(frozen=True)
class Stored:
    """The row of a run."""

    state: str
    started_at: float
    finished_at: float | None


@dataclass(frozen=True)
class Held:
    """The content of a database: all trials with their measurements, and the runs."""

    trials: Mapping[Key, tuple[Any, ...]] = field(default_factory=dict)  # by natural key
    shapes: Mapping[Key, tuple[str, str, str, Shape]] = field(default_factory=dict)  # status, kind, gradient, shape
    runs: Mapping[str, Stored] = field(default_factory=dict)
    leasing: frozenset[str] = frozenset()  # runs
    faults: tuple[str, ...] = ()

    def newest(self, before: "Held") -> Stored | None:
        """A run that was not there before; None if there is none."""
        return next((stored for name, stored in self.runs.items() if name not in before.runs), None)

    def well(self, run_id: str = "") -> int:
        """The number of trials that are ok, of all runs or of one."""
        return sum(1 for key, (status, *_) in self.shapes.items() if status == "ok" and run_id in ("", key[0]))


def read(database: Path) -> Held:
    """The content of a database; empty if there is no file, or an empty one."""
    if not database.exists() or not database.stat().st_size:
        return Held()
    with closing(sqlite3.connect(database, timeout=10.0)) as connection:
        faults = tuple(_faults(connection))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return Held(faults=faults) if "trial" not in tables else _read(connection, faults)


def _read(connection: sqlite3.Connection, faults: tuple[str, ...]) -> Held:
    metrics, samples, curves = (_of_trial(connection, table) for table in ("metric", "sample", "curve"))
    gradients = dict(connection.execute("SELECT key, gradient FROM cell"))
    trials: dict[Key, tuple[Any, ...]] = {}
    shapes: dict[Key, tuple[str, str, str, Shape]] = {}
    counted: Counter[Key] = Counter()
    for number, status, *row in connection.execute(f"SELECT id, status, {_TRIAL}, trial.* FROM trial"):
        key = tuple(row[:4])
        rounds = Counter(sample[0] for sample in samples[number])
        shape = frozenset(name for name, *_ in metrics[number]) - _AT_TIMES, frozenset(rounds.items())
        trials[key] = (*row, tuple(metrics[number]), tuple(samples[number]), tuple(curves[number]))
        shapes[key] = status, row[2], gradients[row[1]], shape
        counted[key] += 1
        counted[row[1], row[2], "ok"] += status == "ok" and row[2] in _SINGLE
    twice = tuple(f"there {count} times: {key}" for key, count in counted.items() if count > 1)
    runs = {
        name: Stored(*rest) for name, *rest in connection.execute("SELECT id, state, started_at, finished_at FROM run")
    }
    leasing = frozenset(name for (name,) in connection.execute("SELECT run_id FROM lease"))
    return Held(trials, shapes, runs, leasing, (*faults, *twice, *_summary(connection)))


def _faults(connection: sqlite3.Connection) -> Iterator[str]:
    for pragma, sound in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
        found = connection.execute(f"PRAGMA {pragma}").fetchall()
        if found != sound:
            yield f"{pragma}: {found[:5]}"
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        yield f"cannot be written: {error}"


def _summary(connection: sqlite3.Connection) -> Iterator[str]:
    """The cells whose row in `summary` does not count their trials, without twins and interrupted trials.

    All trials are of the same code, and none was measured again, so all runs of a cell share its row.
    """
    counted = "SELECT cell_key, count(*) FROM trial WHERE kind != 'twin' AND status != 'interrupted' GROUP BY cell_key"
    summarised = "SELECT cell_key, trials FROM summary"
    trials, summed = (Counter(connection.execute(query)) for query in (counted, summarised))
    for row in sorted((trials - summed) + (summed - trials)):
        yield f"summary and trials differ: {row}"


def _of_trial(connection: sqlite3.Connection, table: str) -> dict[int, list[tuple[Any, ...]]]:
    """The rows of a table, by the trial that they belong to."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for number, *row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3"):
        found[number].append(tuple(row))
    return found
