"""A random network as the field: what a solve costs when the network is what costs."""

import torch

from bench.problems.base import Instance, Problem, mean_square, output_times
from node.models import MLP
from results.records import Cell

_FEATURES, _WIDTH = 64, 256


def _instance(problem: Problem, cell: Cell) -> Instance:
    # Drawn on the CPU in float32, then moved: the same numbers for every dtype and device.
    field, y0 = problem.field(), torch.randn(cell.batch_size, _FEATURES)
    dtype = getattr(torch, cell.dtype)
    return Instance(
        field=field.to(cell.device, dtype), y0=y0.to(cell.device, dtype), t=output_times(cell), loss=mean_square
    )


MLP_64 = Problem(
    name="mlp_64",
    equation="y' = W2 tanh(W1 y + b1) + b2, 64-256-64, torch's own initialisation, y(0) ~ N(0, 1)",
    source="a network of the size that classifiers use",
    horizon=10.0,
    n_outputs=2,
    field=lambda: MLP(_FEATURES, width=_WIDTH),
    start=(),
    make=_instance,
)
