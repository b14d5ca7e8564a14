"""Three runs of the same few cells, for tests of the choice between rows.

The second run is newer than the first, repeated half of its cells, and was interrupted in one of them. The third is
older and has another environment. Four cells are special: one was only interrupted, one only failed, one has numbers
that are not finite, and one has numbers whose sum overflows.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from results.records import Cell, Environment, Planned, Run, Sample, Trial
from results.store import Store
from tests.support import synthetic, synthetic_cells

ELSEWHERE = Environment({"cpu": "another CPU"})
FIRST = synthetic.run("run-1", started_at=1000.0)
SECOND = synthetic.run("run-2", started_at=2000.0)
THIRD = replace(synthetic.run("run-3", started_at=500.0, name="other"), environment=ELSEWHERE)
RUNS = (FIRST, SECOND, THIRD)

CELLS = list(dict.fromkeys(planned.cell for planned in synthetic_cells.plan()[:: len(synthetic_cells.STUDIES) * 4 + 1]))
_ODD = replace(CELLS[0], seed=1)
_TRAINED = {"optimiser": "Adam", "learning_rate": 1e-2, "evaluate": "euler dt=0.1"}
INTERRUPTED, FAILED, NOT_NUMBERS, HUGE = (replace(_ODD, seed=seed, **_TRAINED) for seed in (1, 2, 3, 4))


def fill(store: Store) -> None:
    """Record all three runs."""
    _run(store, FIRST, [*CELLS, INTERRUPTED, FAILED, NOT_NUMBERS, HUGE])
    for trial in _odd():
        store.record(FIRST.id, replace(trial, started_at=FIRST.started_at))
    repeated = [cell for index, cell in enumerate(CELLS) if index % 4 in (2, 3)]
    _run(store, SECOND, repeated)
    measured_before = next(cell for cell in CELLS if cell not in repeated and not synthetic._missing(cell))
    stopped = Trial(cell_key=measured_before.key, kind="timing", status="interrupted", started_at=SECOND.started_at)
    store.record(SECOND.id, stopped)
    _run(store, THIRD, CELLS[::3])


def _run(store: Store, run: Run, cells: Sequence[Cell]) -> None:
    store.begin(run, [Planned("solvers", cell) for cell in cells])
    for cell in cells:
        for trial in synthetic.trials(cell) if cell in CELLS else ():
            slower = {
                name: [replace(one, value=one.value * run.started_at) for one in series]
                for name, series in trial.samples.items()
            }
            store.record(run.id, replace(trial, samples=slower, started_at=run.started_at, position=None))
    store.finish(run.id, state="complete")


def _odd() -> list[Trial]:
    infinite = {"error": math.inf, "error_final": math.nan, "nfe_forward": 7.0}
    return [
        Trial(cell_key=INTERRUPTED.key, kind="counts", status="interrupted"),
        Trial(cell_key=FAILED.key, kind="counts", status="crashed", reason="it is gone"),
        Trial(cell_key=FAILED.key, kind="memory", status="out_of_memory", reason="too large"),
        Trial(cell_key=NOT_NUMBERS.key, kind="accuracy", metrics=infinite),
        Trial(cell_key=HUGE.key, kind="timing", samples={"forward_s": _series(1e308, 1.7e308)}),
        Trial(cell_key=HUGE.key, kind="timing", process_index=1, samples={"forward_s": _series(1.7e308, 1.7e308)}),
        Trial(cell_key=HUGE.key, kind="accuracy", metrics={"error": -1.7e308}),
    ]


def _series(*values: float) -> list[Sample]:
    return [Sample(index, 0, value) for index, value in enumerate(values)]
