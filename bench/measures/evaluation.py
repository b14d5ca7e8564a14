"""The evaluation of a trained model, with the solver that it was trained with and with others.

Ott, Katiyar, Hennig & Tiemann (2021), "ResNet after all: Neural ODEs and their numerical solution", ICLR: a model
trained with a coarse solver may be a discrete map that no other solver reproduces.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.measures.counts import count
from bench.problems import PROBLEMS
from bench.problems.base import with_instance
from bench.solve_spec import SolveSpec
from bench.workload import Workload
from results.records import Cell, Curve


def judged(workload: Workload) -> tuple[float, Tensor | None]:
    """The loss and the states (n, batch, *state) of a model's judgement; infinite and None if the solve fails."""
    judgement = workload.instance.judgement
    try:
        with torch.no_grad():
            y = workload.solve(workload.instance.field, judgement.y0, judgement.t)
            loss = float(judgement.loss(y))
    except TrialFailure:
        return math.inf, None
    return (loss, y) if math.isfinite(loss) else (math.inf, None)


def evaluated(cell: Cell, workload: Workload, solve_specs: tuple[SolveSpec, ...]) -> Curve:
    """The curve of a trained model's evaluation with each of the solvers.

    x: the index in `solve_specs`. y: the loss of the judgement (infinite where the solve fails), NFE (NaN there), and 1
    if the cell's own backend solved it, 0 if `node` did because that backend has no such solver.
    """
    rows = [_row(spec.of(cell), workload) for spec in solve_specs]
    return Curve([float(place) for place in range(len(solve_specs))], rows)


def _row(cell: Cell, trained: Workload) -> list[float]:
    backend = next((name for name in (cell.backend, "node") if not BACKENDS[name].unsupported(cell)), "")
    if not backend:
        return [math.inf, math.nan, 0.0]
    workload = BACKENDS[backend].prepare(cell, with_instance(PROBLEMS[cell.problem], trained.instance))
    loss, y = judged(workload)
    nfe = math.nan if y is None else _calls(cell, workload)
    return [loss, nfe, float(backend == cell.backend)]


def _calls(cell: Cell, workload: Workload) -> float:
    judgement = workload.instance.judgement
    whole = replace(workload.instance, y0=judgement.y0, t=judgement.t)
    return count(cell, replace(workload, instance=whole))["nfe_forward"]
