"""Databases with many runs of a few cells, whose times change at known runs."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from results.records import Cell, Environment, Planned, Run, Sample, Source, Trial
from results.store import Store

CONTROL = Cell(problem="cosine", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=0.1)
CHANGED, FLAT, *OTHERS = (replace(CONTROL, solver="rk4", dt=dt) for dt in (0.5, 0.25, 0.125, 0.0625))
CELLS = (CONTROL, CHANGED, FLAT)
HERE = Environment({"cpu": "one"})
ROUNDS = 5


def a_run(number: int, *, environment: Environment = HERE, **changes: object) -> Run:
    """The run of this number, a day after the one before, of a revision of its own."""
    of_run = Run(
        id=f"{number:08x}-run",
        sweep_name="small",
        sweep_text="[[grid]]",
        environment=environment,
        started_at=1_780_000_000.0 + 86_400 * number,
        git_revision=f"{number:040x}"[::-1],
    )
    return replace(of_run, **changes)


def code(revision: str) -> Source:
    """The code of a timing whose library has this revision."""
    return Source({"library": f"node {revision}", "adapter": "node 1", "problem": "cosine 1", "measure": "timing 1"})


def fill(
    store: Store,
    runs: int,
    factors: Mapping[Cell, Sequence[float]],
    *,
    seed: int = 0,
    noise: float = 0.03,
    nfe: Sequence[float] = (),
    cells: Sequence[Cell] = CELLS,
    control: Cell = CONTROL,
    first: int = 0,
    environment: Environment = HERE,
) -> None:
    """Record the runs: a cell's time is its factor of the run, times the run's noise, times the round's load.

    The load is common to all cells of a round, and a hundred times as large from the second half of the runs on.
    nfe: the calls of CHANGED, by run. first: the number of the first run.
    """
    random_ = random.Random(seed)
    for number in range(runs):
        old, new = code("aaaa"), code("bbbb")
        of_run, source = a_run(first + number, environment=environment), old if number < runs // 2 else new
        store.begin(of_run, [Planned("solvers", cell) for cell in cells], [source])
        for process in range(2):
            busy = 100.0 if number >= runs // 2 else 1.0
            load = [busy * random_.lognormvariate(0, 0.3) for _ in range(ROUNDS)]
            for cell in cells:
                factor = factors.get(cell, [1.0] * runs)[number] * random_.lognormvariate(0, noise)
                store.record(of_run.id, _timing(cell, process, [factor * each for each in load], source))
            store.record(of_run.id, replace(_timing(control, process, load, source), kind="twin"))
        if nfe:
            counted = Trial(cell_key=CHANGED.key, kind="counts", metrics={"nfe_forward": nfe[number]})
            store.record(of_run.id, counted)
        store.finish(of_run.id, state="complete")


def _timing(cell: Cell, process: int, values: Sequence[float], source: Source) -> Trial:
    samples = [Sample(index, 0, value) for index, value in enumerate(values)]
    return Trial(
        cell_key=cell.key, kind="timing", process_index=process, source=source.key, samples={"forward_s": samples}
    )
