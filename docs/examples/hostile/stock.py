"""A small database with rows in every table that a merge copies, and a file of pytest-benchmark's."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from results.records import (
    Cell,
    Curve,
    Environment,
    Goal,
    NoiseFloor,
    Planned,
    Run,
    RunState,
    Sample,
    Source,
    Trial,
    TrueValues,
)
from results.store import Store
from results.tools import annotations, baselines, true_values

CELLS = [
    Cell(problem=problem, backend=backend, solver="dopri5", horizon=1.0, n_outputs=2, rtol=1e-5, atol=1e-7, gradient=by)
    for problem in ("cosine", "spiral")
    for backend in ("node", "torchdiffeq")
    for by in ("none", "backprop")
]
_SOURCE = Source({"library": "node 1", "adapter": "node 2", "problem": "cosine 3", "measure": "timing 4"})


def stock(store: Store, name: str) -> None:
    """Record two runs in a store, the second of which was interrupted."""
    states: tuple[RunState, ...] = ("complete", "interrupted")
    for number, state in enumerate(states):
        run = Run(
            id=f"{name}-{number}",
            sweep_name="solvers",
            sweep_text=f"# {name}",
            environment=Environment({"cpu": "one"}),
            started_at=1.0 + number,
            volatile={"load": "0.1"},
            measure={"rounds": 3.0},
            goals={"solvers": Goal(1e-3)},
        )
        store.begin(run, [Planned("solvers", cell) for cell in CELLS], [_SOURCE])
        for cell in CELLS:
            for trial in _trials(cell):
                store.record(run.id, trial)
        store.record_floors(run.id, [NoiseFloor(CELLS[0].key, "forward_s", 1.0, 0.99, 1.01, 3)])
        store.finish(run.id, state=state)
    true = TrueValues(
        problem="cosine",
        name="solution",
        asked={"of": name},
        provenance={"method": "exact"},
        shape=(2,),
        array=bytes(16),
    )
    true_values.keep(store, [true])
    baselines.keep(store, f"before {name}")
    annotations.annotate(store, CELLS[0].key, "a warm day", author="me")


def file_with_rows(path: Path, name: str) -> Path:
    """A new file with the small database, without a write-ahead log beside it."""
    with Store.open(str(path), create=True) as store:
        stock(store, name)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma journal_mode = delete")
    return path


def benchmark() -> str:
    """The JSON text of a file that pytest-benchmark writes."""
    stats = {"data": [0.1, 0.2], "iterations": 1, "total": 0.3, "median": 0.15}
    named = {"fullname": "tests/test_a.py::test_b", "name": "test_b", "stats": stats, "extra_info": {}}
    of_cell = {
        **named,
        "extra_info": {"cell": {"problem": "a", "backend": "b", "solver": "c", "horizon": 1, "n_outputs": 2}},
    }
    machine = {"node": "n", "system": "Linux", "cpu": {"brand_raw": "one", "count": 2}}
    commit = {"id": "abc", "dirty": False}
    return json.dumps(
        {"machine_info": machine, "commit_info": commit, "version": "5", "datetime": "2026-01-01T00:00:00",
         "benchmarks": [named, of_cell]}
    )  # fmt: skip


def _trials(cell: Cell) -> list[Trial]:
    samples = {"forward_s": [Sample(index, 0, 1e-3 * (1 + index)) for index in range(3)]}
    curve = {"loss": Curve([0.0, 1.0], [[1.0], [0.5]])}
    named = {"cell_key": cell.key, "started_at": 1.0, "duration_s": 0.1, "source": _SOURCE.key}
    return [
        Trial(kind="counts", metrics={"nfe_forward": 10.0}, **named),
        Trial(kind="accuracy", metrics={"error": 1e-3, "gradient_error": 1e-2}, curves=curve, **named),
        Trial(kind="timing", samples=samples, metrics={"busy_s": 0.1, "unstable": 0.0}, **named),
    ]
