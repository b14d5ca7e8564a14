"""A database as large as after years of measuring, written in minutes: runs by the store, their trials in bulk.

Each sweep was run twice. The first run was interrupted: it has counts of each cell, and an interrupted memory trial.
The second run is complete. The first runs of every second sweep have another environment, in which their counts still
count; those of the other sweeps are superseded.
"""

import json
import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sqlalchemy import Table

from results.records import Cell, Environment, Planned, Run
from results.schema import summary, tables
from results.store import Store

PROCESSES, ROUNDS, SERIES = 5, 20, ("forward_s", "gradient_s")
TRIALS_A_CELL = 2 + 3 + PROCESSES  # two of the first run, the others of the second
SAMPLES_A_CELL = PROCESSES * ROUNDS * len(SERIES)
_POINTS = 50  # of a curve, which every tenth cell has
_DAY = 86_400.0

Rows = Iterator[tuple[Any, ...]]


@dataclass(frozen=True)
class Size:
    """The number of sweeps, and of cells in each sweep."""

    sweeps: int
    cells: int

    @property
    def trials(self) -> int:
        """The number of trials of all sweeps."""
        return self.sweeps * self.cells * TRIALS_A_CELL

    @property
    def samples(self) -> int:
        """The number of samples of all sweeps."""
        return self.sweeps * self.cells * SAMPLES_A_CELL


YEARS = Size(sweeps=10, cells=10_000)  # 100,000 cells, 1,000,000 trials, 20,000,000 samples
MONTHS = Size(sweeps=10, cells=1_000)


def cells_of(sweep: int, count: int) -> list[Cell]:
    """The cells of the sweep: solvers, tolerances, gradients and batch sizes, with as many seeds as needed."""
    axes = product(
        range(count), ("none", "backprop", "adjoint"), (1, 16, 256), (1e-3, 1e-5, 1e-7), ("bosh3", "dopri5", "tsit5")
    )
    return [
        Cell(
            problem=f"problem_{sweep}", backend="node", solver=solver, rtol=rtol, atol=rtol / 100, gradient=gradient,
            batch_size=batch_size, horizon=10.0, n_outputs=11, seed=seed,
        )
        for _, (seed, gradient, batch_size, rtol, solver) in zip(range(count), axes, strict=False)
    ]  # fmt: skip


def run_of(sweep: int, name: str) -> Run:
    """A run of a sweep; the first run of a sweep with an odd number has another environment."""
    elsewhere = name == "first" and sweep % 2
    return Run(
        id=f"{sweep:08d}{name:->24}",  # as long as the id of a real run
        sweep_name=f"sweep_{sweep}",
        sweep_text="title = 'made up'\n" * 100,
        environment=Environment({"cpu": f"cpu {sweep % 3}", "site": "there" if elsewhere else "here"}),
        started_at=_DAY * (2 * sweep + (name == "second")),
    )


def fill(store: Store, size: Size) -> None:
    """Write all sweeps into an empty database."""
    trial_id = 0
    for sweep in range(size.sweeps):
        cells = cells_of(sweep, size.cells)
        for name in ("first", "second"):
            run = run_of(sweep, name)
            store.begin(run, [Planned("scale", cell) for cell in cells])
            measured = _Measured(run, [cell.key for cell in cells], trial_id, whole=name == "second")
            for table in (tables.trial, tables.metric, tables.sample, tables.curve):
                _load(store, table, getattr(measured, f"{table.name}s")())
            store.finish(run.id, state="complete" if name == "second" else "interrupted")
            trial_id += measured.trials_a_cell * len(cells)
    with store.database.writing() as connection:
        summary.rebuild(connection)


class _Measured:
    """The rows of one run for each table, in the order of the table's key."""

    def __init__(self, run: Run, keys: Sequence[str], before: int, *, whole: bool) -> None:
        self._run, self._keys, self._before = run, keys, before
        kinds = [("counts", 0, "ok"), ("memory", 0, "interrupted")]
        if whole:
            timings = [("timing", index, "ok") for index in range(PROCESSES)]
            kinds = [("counts", 0, "ok"), ("accuracy", 0, "ok"), ("memory", 0, "ok"), *timings]
        self._kinds = kinds
        self.trials_a_cell = len(kinds)

    def trials(self) -> Rows:
        for id_, key, (kind, process, status) in self._places():
            reason = "" if status == "ok" else "the run was interrupted: run the sweep again"
            started = self._run.started_at + (id_ - self._before) * 0.05
            yield (
                id_,
                self._run.id,
                key,
                kind,
                process,
                status,
                reason,
                started,
                0.05,
                id_ - self._before,
                "",
                None,
                self._run.id,
            )

    def metrics(self) -> Rows:
        noise = random.Random(self._run.id)
        for id_, _, (kind, _, status) in self._places():
            if status == "ok":
                for name in _METRICS[kind]:
                    yield id_, name, noise.random() if name.endswith(("_s", "error")) else noise.randrange(10**6)

    def samples(self) -> Rows:
        noise = random.Random(self._run.id)
        for id_, _, (kind, _, _) in self._places():
            if kind == "timing":
                for name, index in product(SERIES, range(ROUNDS)):
                    yield id_, name, index, id_ % 32, noise.random(), 3

    def curves(self) -> Rows:
        packed = struct.pack(f"<{_POINTS}d", *range(_POINTS))
        points = json.dumps([[float(at), float(at)] for at in range(_POINTS)])
        for id_, _, (kind, _, _) in self._places():
            if kind == "accuracy" and id_ // self.trials_a_cell % 10 == 0:
                yield id_, "trajectory", _POINTS, 1, packed, packed, points

    def _places(self) -> Iterator[tuple[int, str, tuple[str, int, str]]]:
        places = product(self._keys, self._kinds)
        return ((self._before + number, key, kind) for number, (key, kind) in enumerate(places, start=1))


_METRICS = {
    "counts": ("nfe_backward", "nfe_forward", "vjp_backward"),
    "accuracy": ("error", "error_final", "gradient_error"),
    "memory": ("peak_bytes",),
    "timing": ("first_call_s",),
}


def _load(store: Store, table: Table, rows: Rows) -> None:
    columns = [column.name for column in table.c]
    with store.database.raw() as connection:
        (_insert if store.database.is_file else _copy)(connection.driver_connection, table.name, columns, rows)


def _insert(connection: Any, table: str, columns: Sequence[str], rows: Rows) -> None:
    statement = f"insert into {table} values ({', '.join('?' * len(columns))})"
    connection.execute("begin")
    connection.executemany(statement, rows)
    connection.execute("commit")


def _copy(connection: Any, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        with cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute("select setval(pg_get_serial_sequence('trial', 'id'), (select max(id) from trial))")
    connection.commit()
