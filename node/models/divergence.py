"""The divergence of a vector field, the trace of df/dy: exact, or an unbiased estimate of it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from node.derivatives import check_constant, products
from node.vector_field import VectorField

# For states y (..., *shape) gives vectors e_i, (m, *y.shape), with tr J = sum_i e_i' J e_i, exactly or in expectation.
Probes = Callable[[Tensor, tuple[int, ...]], Tensor]


def units(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """All unit vectors: the exact trace, by as many vector-Jacobian products as a sample has entries."""
    n = math.prod(shape)
    batch = y.dim() - len(shape)
    eye = torch.eye(n, dtype=y.dtype, device=y.device)
    return eye.view(n, *(1,) * batch, *shape).expand(n, *y.shape)


def rademacher(y: Tensor, _shape: tuple[int, ...]) -> Tensor:
    """One vector of random signs for each sample: the least variance among vectors with independent entries.

    Hutchinson (1990), "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines".
    """
    return torch.empty_like(y).bernoulli_().mul_(2).sub_(1).unsqueeze(0)


def gaussian(y: Tensor, _shape: tuple[int, ...]) -> Tensor:
    """One standard normal vector for each sample."""
    return torch.randn_like(y).unsqueeze(0)


TRACES: dict[str, Probes] = {"exact": units, "rademacher": rademacher, "gaussian": gaussian}


class Divergence(nn.Module):
    """d/dt (y, l) = (f, tr df/dy), whose trace is sum_i e_i' (df/dy) e_i with the probes e_i.

    y (..., *shape). l (...): the log-determinant of the derivative of y in the initial state, if l starts at 0.
    The probes belong to the object. Use one object for each solve, so that its backward pass has the noise of its
    forward pass.
    """

    def __init__(self, vector_field: VectorField[Tensor], probes: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.vector_field = vector_field
        self.probes = probes
        self._dims = (0, *range(-len(shape), 0))

    def forward(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The derivatives of y and l at (t, state)."""
        y = state[0]
        dy, (rows,) = products(lambda y: self.vector_field(t, y), (y,), self.probes)
        if rows is not None:
            return dy, (rows * self.probes).sum(self._dims)
        check_constant(
            lambda near: self.vector_field(t, near),
            (y,),
            needs="a divergence needs df/dy",
            output="the vector field's output",
        )
        return dy, torch.zeros_like(state[1])
