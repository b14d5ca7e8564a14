"""How large an error of the adjoint equation is: norms of its state, adjoint and parameter gradients together."""

import math
from collections.abc import Callable

from torch import Tensor

from node.controller import Norm, rms_norm

# Of y, a and g, each over its tolerance; the first argument is the controller's norm, of a vector like y.
AdjointNorm = Callable[[Norm, Tensor, Tensor, Tensor], float]


def block_norm(norm: Norm, y: Tensor, a: Tensor, g: Tensor) -> float:
    """The largest of the three parts' norms, so that many parameters do not hide the state."""
    sizes = [float(norm(y)), float(norm(a))]
    return _largest([*sizes, float(rms_norm(g))] if len(g) else sizes)


def seminorm(norm: Norm, y: Tensor, a: Tensor, _g: Tensor, /) -> float:
    """The larger of the state's and the adjoint's: the third part is an integral, on whose error nothing else depends.

    Kidger, Chen & Lyons (2021), "Hey, that's not an ODE: Faster ODE Adjoints via Seminorms", ICML.
    """
    return _largest([float(norm(y)), float(norm(a))])


def _largest(sizes: list[float]) -> float:
    # Python's max passes over a NaN that is not first: here one part that is NaN makes all of it NaN.
    return max(sizes, key=lambda size: (math.isnan(size), size))
