"""Runs of a few cells of one block, for comparisons: hand-made times, and loads that differ from run to run."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from results.records import Cell, Environment, Planned, Run, Sample, Source, Trial
from results.store import Store

CONTROL = Cell(problem="cosine", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=0.1, dtype="float64")
MINE = replace(CONTROL, solver="rk4")
PEER = replace(CONTROL, backend="torchdiffeq", solver="rk4")
HERE, THERE = Environment({"cpu": "one", "torch": "2.13"}), Environment({"cpu": "another", "torch": "2.13"})


@dataclass(frozen=True)
class Measured:
    """What a run measured of a cell."""

    seconds: float = 0.0  # 0: not timed
    code: str = "1"
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: str = "ok"  # of its counts
    reason: str = ""


def record(
    store: Store,
    run_id: str,
    measured: Mapping[Cell, Measured],
    *,
    load: float = 1.0,
    processes: int = 4,
    environment: Environment = HERE,
    revision: str = "",
    control: Cell = CONTROL,
    planned: Sequence[Cell] = (),
    sweep: str = "small",
) -> None:
    """Record a run: the control's twin, and of each cell its counts and its times, `load` times slower than usual."""
    sources = {
        cell: Source({"adapter": f"{cell.backend}-{cell.solver} {each.code}"}) for cell, each in measured.items()
    }
    run = Run(
        id=run_id, sweep_name=sweep, sweep_text="[[grid]]", environment=environment, started_at=1.0,
        git_revision=revision,
    )  # fmt: skip
    plan = [Planned("solvers", cell) for cell in (*measured, *planned)]
    store.begin(run, plan, list({each.key: each for each in sources.values()}.values()))
    for cell, each in measured.items():
        source = sources[cell].key
        counts = Trial(
            cell_key=cell.key, kind="counts", status=each.status, reason=each.reason, metrics=each.metrics,
            source=source, series=run_id,
        )  # fmt: skip
        store.record(run_id, counts)
        for kind in ("timing", "twin") if cell == control else ("timing",):
            for process in range(processes if each.seconds else 0):
                samples = _samples(each.seconds * load, f"{run_id} {process}", f"{run_id} {process} {cell.key} {kind}")
                store.record(
                    run_id,
                    Trial(
                        cell_key=cell.key,
                        kind=kind,
                        process_index=process,
                        samples={"forward_s": samples},
                        metrics={"first_call_s": 1.0 + process},
                        source=source,
                        series=run_id,
                    ),
                )
    store.finish(run_id, state="complete")


def _samples(seconds: float, common: str, own: str) -> list[Sample]:
    """Ten rounds with a load common to all cells, and noise of 1 % that is the cell's own."""
    load, noise = (np.random.default_rng(zlib.crc32(seed.encode())) for seed in (common, own))
    times = seconds * load.lognormal(0, 0.3, 10) * noise.lognormal(0, 0.01, 10)
    return [Sample(index, 0, float(time)) for index, time in enumerate(times)]
