"""A database with rows in every table, and the contents of a database without or with its row numbers."""

from dataclasses import asdict

from sqlalchemy import insert, select

from results.records import Cell, Curve, Environment, Goal, Planned, Run, Sample, Source, Trial, TrueValues
from results.schema.tables import lease, metadata, nodebench, noise_floor, reference, run, sweep, trial
from results.store import Store
from results.tools import annotations, baselines

HERE = Environment({"cpu": "one"})
CELLS = [
    Cell(problem="cosine", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=0.1),
    Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.0, n_outputs=2, rtol=1e-5, atol=1e-7),
    Cell(problem="spiral", backend="torchdiffeq", solver="dopri5", horizon=1.0, n_outputs=2, rtol=1e-5, atol=1e-7),
]
PLAN = [Planned("solvers", one) for one in CELLS]
DAY_S = 86_400.0

# A file of pytest-benchmark.
IMPORTED = """{"machine_info": {"node": "n", "system": "Linux", "cpu": {"brand_raw": "one"}}, "version": "5.3.1",
"commit_info": {"id": "abc", "dirty": false}, "datetime": "2026-01-01T00:00:00+00:00", "benchmarks": [
{"name": "test_a", "fullname": "a.py::test_a", "extra_info": {},
"stats": {"median": 1.5, "total": 3.0, "iterations": 1, "data": [1.0, 2.0]}}]}"""


CODE = Source({"library": "node 1", "adapter": "node 2", "problem": "spiral 3", "measure": "timing 4"})


def a_run(run_id: str, *, started_at: float = 1.0, where: Environment = HERE, sweep_name: str = "small") -> Run:
    return Run(
        id=run_id, sweep_name=sweep_name, sweep_text="[[grid]]", environment=where, started_at=started_at,
        git_revision="abc", git_dirty=True, volatile={"load": "0.1"}, measure={"timeout_s": 60.0},
        goals={"solvers": Goal(error=1e-5)},
    )  # fmt: skip


def a_trial(cell: Cell = CELLS[0], *, process_index: int = 0, started_at: float = 2.0, **changes) -> Trial:
    return Trial(
        **{
            "cell_key": cell.key,
            "kind": "timing",
            "process_index": process_index,
            "started_at": started_at,
            "duration_s": 0.5,
            "position": process_index,
            "log_tail": "a line\nand another",
            "metrics": {"error": 1e-3 / started_at, "nfe_forward": 40.0, "final_loss": float("nan")},
            "samples": {"forward_s": [Sample(i, 0, started_at + i, 3) for i in range(3)]},
            "curves": {"loss": Curve([0.0, 1.0], [[started_at, 2.0], [3.0, 4.0]])},
            **changes,
        }
    )


def measure(store: Store, run_id: str, *, started_at: float, processes: int = 2, **changes) -> None:
    """Record a complete run of all cells."""
    store.begin(a_run(run_id, started_at=started_at, **changes), PLAN, [CODE])
    for index in range(processes):
        for cell in CELLS:
            store.record(run_id, a_trial(cell, process_index=index, started_at=started_at + 1, source=CODE.key))
    store.finish(run_id, state="complete")


def stock(store: Store, name: str = "a") -> None:
    """Write rows into every table."""
    measure(store, f"{name}-1", started_at=10.0)
    measure(store, f"{name}-2", started_at=20.0, where=Environment({"cpu": name}), sweep_name=f"sweep of {name}")
    store.begin(a_run(f"{name}-3", started_at=30.0), PLAN)
    store.record(f"{name}-3", a_trial(status="interrupted", reason="stopped", metrics={}, samples={}, curves={}))
    with store.database.writing() as connection:
        floor = {"cell_key": CELLS[0].key, "name": "forward_s", "ratio": 1.01, "low": 0.9, "high": 1.1, "pairs": 6}
        connection.execute(insert(noise_floor), [{"run_id": f"{name}-1", **floor}])
        held = {"cell_key": CELLS[1].key, "host": "h", "pid": 1, "pid_started_at": 0.0, "expires_at": 1e12}
        connection.execute(insert(lease), [{"run_id": f"{name}-3", "fingerprint": HERE.fingerprint, **held}])
        connection.execute(insert(reference), [true_values_row(name)])
    baselines.keep(store, f"baseline of {name}", note="kept", run_start=f"{name}-1")
    annotations.annotate(store, f"{name}-1", "a warm day", author="me")
    annotations.annotate(store, CELLS[0].key, "the simplest", author="me")


def true_values_row(name: str) -> dict[str, object]:
    true = TrueValues(
        problem="cosine", name="solution", asked={"t": 1.0, "of": name}, provenance={"method": "exact"}, shape=(1,),
        array=b"\0" * 8,
    )  # fmt: skip
    return {"key": true.key, **asdict(true), "shape": [1], "created_at": 1.0}


def contents(store: Store, *without: str) -> dict[str, list[str]]:
    """The sorted rows of every table but `without`, with natural keys in place of row numbers."""
    natural = (trial.c.run_id, trial.c.cell_key, trial.c.kind, trial.c.process_index)
    with store.database.reading() as connection:
        trials = {id_: tuple(key) for id_, *key in connection.execute(select(trial.c.id, *natural))}
        sweeps = dict(connection.execute(select(sweep.c.id, sweep.c.sha)).all())
        known = {"trial_id": trials, "sweep_id": sweeps}
        known_here = {trial.c.id, sweep.c.id, run.c.merged, nodebench.c.identity}
        found = {}
        for table in metadata.sorted_tables:
            rows = connection.execute(select(*(c for c in table.c if c not in known_here)))
            named = ({n: known[n][v] if n in known else v for n, v in row.items()} for row in rows.mappings())
            found[table.name] = sorted(str(sorted(row.items())) for row in named)
    return {name: rows for name, rows in found.items() if name not in without}


def exactly(store: Store) -> dict[str, list[str]]:
    """The sorted rows of every table as they are, row numbers included."""
    with store.database.reading() as connection:
        return {t.name: sorted(map(str, connection.execute(select(t)))) for t in metadata.sorted_tables}


def counts(store: Store) -> dict[str, int]:
    return {table: len(rows) for table, rows in contents(store).items()}
