"""The code that the page gives for a cell: run, it solves as the cell does."""

from dataclasses import replace

import pytest
import torch

from bench.backends import BACKENDS
from bench.problems import PROBLEMS
from results.records import Cell

ADAPTIVE = Cell(problem="exp_sin", backend="node", solver="dopri5", horizon=2.0, n_outputs=5, rtol=1e-5, atol=1e-7)
FIXED = replace(ADAPTIVE, rtol=None, atol=None, dt=0.5, solver="rk4_38")
OPTIONS = '{"solver.coefficients":"PI34","solver.safety":0.5,"gradient.budget":2,"batching":"independent"}'


@pytest.mark.parametrize(
    ("cell", "tolerance"),
    [
        (ADAPTIVE, 1e-12),
        (replace(FIXED, gradient="adjoint"), 1e-12),
        (replace(ADAPTIVE, gradient="checkpointed", options=OPTIONS, problem="spiral", batch_size=2), 1e-12),
        # An own grid of ours ends torchdiffeq's steps on outputs: its plain call differs within the tolerance.
        (replace(ADAPTIVE, backend="torchdiffeq", gradient="adjoint"), 1e-4),
        (replace(FIXED, backend="torchdiffeq", gradient="backprop"), 1e-6),
        (replace(FIXED, backend="torchdiffeq", solver="heun"), 1e-6),
    ],
)
def test_the_code_of_a_cell_solves_as_the_cell_does(cell: Cell, tolerance: float) -> None:
    cell = replace(cell, dtype="float64")
    backend, problem = BACKENDS[cell.backend], PROBLEMS[cell.problem]
    instance = problem.instance(cell)
    names = {"f": instance.field, "y0": instance.y0, "t": instance.t}
    exec(backend.code(cell), names)
    y = names["solution"].y if "solution" in names else names["y"]
    assert torch.allclose(y, backend.prepare(cell, problem).forward(), rtol=tolerance, atol=tolerance)
    assert all(f"{value!r}" in backend.code(cell) for value in cell.option_values.values() if value != "PI34")
