"""Runs of a few cells, each of which takes a second."""

from bench.run.progress import Progress
from bench.run.runner import Runner
from bench.sweep.file import Sweep
from bench.sweep.measure import Measure
from results.records import Cell, Planned
from results.store import Store

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5)
MEASURE = Measure(processes=1, max_processes=1, rounds=3, timeout_s=30.0)


def sweep_of(*cells: Cell, measure: Measure = MEASURE) -> Sweep:
    return Sweep("test", "a test", "", measure, tuple(Planned("adaptive", cell) for cell in cells))


def runner(store: Store, sweep: Sweep) -> Runner:
    return Runner(store, sweep, Progress(None))


def run(store: Store, sweep: Sweep) -> bool:
    return runner(store, sweep).run()
