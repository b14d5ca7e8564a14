"""A random network as the field, for solves whose cost is that of the network."""

import torch

from bench.problems.base import Instance
from bench.problems.decorator import problem
from node.models import MLP
from results.records import Cell


@problem(
    name="mlp_64",
    equation="y' = W2 tanh(W1 y + b1) + b2, 64-256-64, torch's own initialisation, y(0) ~ N(0, 1)",
    source="a network of the size that classifiers use",
    horizon=10.0,
    n_outputs=2,
)
def mlp(cell: Cell, *, features: int = 64, width: int = 256, depth: int = 1) -> Instance:
    """A random network.

    features: components of the state. width: units of each hidden layer. depth: hidden layers.
    """
    field = MLP(features, width=width, depth=depth)
    return Instance(field=field, y0=torch.randn(cell.batch_size, features))
