"""The places of tensors in a graph."""

from typing import Any, NamedTuple

from torch import Tensor


class Edge(NamedTuple):
    """Where a tensor stands in a graph: the node that made it, and which of the node's outputs it is."""

    node: Any  # of torch.autograd.graph; of a leaf, its id
    output: int


def edge_of(x: Tensor) -> Edge:
    """The place of a tensor; a leaf is its own."""
    return Edge(id(x), -1) if x.grad_fn is None else Edge(x.grad_fn, x.output_nr)
