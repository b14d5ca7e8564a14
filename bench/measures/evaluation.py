"""A trained model judged on the whole trajectory: as it was trained, and solved in other ways.

Ott, Katiyar, Hennig & Tiemann (2021), "ResNet after all: Neural ODEs and their numerical solution", ICLR: a model
trained with a coarse solver may be a discrete map that no other solver reproduces.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from bench.backends import BACKENDS
from bench.backends.workload import Workload
from bench.failure import TrialFailure
from bench.measures.counts import count
from bench.problems import PROBLEMS, Training
from bench.solve_spec import SolveSpec
from results.records import Cell, Curve


def mean_absolute(y: Tensor, target: Tensor) -> Tensor:
    """The loss of ode_demo: mean absolute error over outputs, batch and components."""
    return (y - target).abs().mean()


def whole_trajectory(workload: Workload, training: Training) -> tuple[float, Tensor | None]:
    """Loss on the whole trajectory and the states (n, 1, *state); infinite, and no states, where the solve fails."""
    try:
        with torch.no_grad():
            y = workload.solve(workload.instance.field, training.y0, training.t)
    except TrialFailure:
        return math.inf, None
    loss = mean_absolute(y, training.trajectory).item()
    return (loss, y) if math.isfinite(loss) else (math.inf, None)


def evaluated(cell: Cell, workload: Workload, training: Training, solve_specs: tuple[SolveSpec, ...]) -> Curve:
    """The trained model solved in each way.

    x: the way's place in the list. y: loss on the whole trajectory (infinite where the solve fails), NFE (NaN
    there), and 1 if the cell's own backend solved it, 0 if `node` did because that backend has no such solver.
    """
    rows = [_row(way.of(cell), workload, training) for way in solve_specs]
    return Curve([float(place) for place in range(len(solve_specs))], rows)


def _row(cell: Cell, trained: Workload, training: Training) -> list[float]:
    backend = next((name for name in (cell.backend, "node") if not BACKENDS[name].unsupported(cell)), "")
    if not backend:
        return [math.inf, math.nan, 0.0]
    as_trained = replace(PROBLEMS[cell.problem], make=lambda problem, cell: trained.instance)
    workload = BACKENDS[backend].prepare(cell, as_trained)
    loss, y = whole_trajectory(workload, training)
    nfe = math.nan if y is None else _calls(cell, workload, training)
    return [loss, nfe, float(backend == cell.backend)]


def _calls(cell: Cell, workload: Workload, training: Training) -> float:
    whole = replace(workload.instance, y0=training.y0, t=training.t)
    return count(cell, replace(workload, instance=whole))["nfe_forward"]
