"""Edges of autograd's graph, which identify tensors in it."""

from typing import Any, NamedTuple

from torch import Tensor


class Edge(NamedTuple):
    """The place of a tensor in a graph: the node that made it, and the index among the node's outputs."""

    node: Any  # of torch.autograd.graph; for a leaf its id
    output: int


def edge_of(x: Tensor) -> Edge:
    """The edge of a tensor; a leaf is identified by its id."""
    return Edge(id(x), -1) if x.grad_fn is None else Edge(x.grad_fn, x.output_nr)
