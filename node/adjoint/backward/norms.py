"""Error norms of the adjoint equation, over its state, adjoint and parameter gradients together."""

import math
from collections.abc import Callable

from torch import Tensor

from node.controller import Norm, rms_norm

# A norm of the errors of y, a and g, each divided by its tolerance; the first argument is the controller's norm of y.
AdjointNorm = Callable[[Norm, Tensor, Tensor, Tensor], float]


def block_norm(norm: Norm, y: Tensor, a: Tensor, g: Tensor) -> float:
    """The largest of the three parts' norms, so that many parameters do not hide the state."""
    sizes = [float(norm(y)), float(norm(a))]
    return _largest([*sizes, float(rms_norm(g))] if len(g) else sizes)


def seminorm(norm: Norm, y: Tensor, a: Tensor, _g: Tensor, /) -> float:
    """The larger of the norms of state and adjoint; g is an integral, and nothing else depends on its error.

    Kidger, Chen & Lyons (2021), "Hey, that's not an ODE: Faster ODE Adjoints via Seminorms", ICML.
    """
    return _largest([float(norm(y)), float(norm(a))])


def _largest(sizes: list[float]) -> float:
    # Python's max ignores a NaN that is not first; with this key the result is NaN if any part is NaN.
    return max(sizes, key=lambda size: (math.isnan(size), size))
