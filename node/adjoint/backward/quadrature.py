"""Gauss-Legendre quadrature over a step."""

import functools
import math
from typing import NamedTuple

from node.adjoint.backward.legendre import legendre


class Node(NamedTuple):
    """A node of the quadrature rule on [0, 1], and its weight."""

    x: float
    weight: float


@functools.cache
def gauss_legendre(n: int) -> tuple[Node, ...]:
    """n nodes, exact for polynomials of degree 2 n - 1: the zeros x of P_n, with 1 / ((1 - x^2) P_n'(x)^2) on [0, 1].

    Newton's iteration from Tricomi's cos(pi (i + 3/4) / (n + 1/2)) has all digits after a few iterations.
    """
    nodes = []
    for i in range(n):
        x = math.cos(math.pi * (i + 0.75) / (n + 0.5))
        for _ in range(8):
            value, slope = _with_slope(n, x)
            x -= value / slope
        _, slope = _with_slope(n, x)
        nodes.append(Node((1 - x) / 2, 1 / ((1 - x * x) * slope * slope)))
    return tuple(nodes)


def _with_slope(n: int, x: float) -> tuple[float, float]:
    """P_n and its derivative at x in (-1, 1)."""
    *_, before, value = map(float, legendre(x, n))
    return value, n * (x * value - before) / (x * x - 1)
