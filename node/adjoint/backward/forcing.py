"""Jumps within a step, replaced by a polynomial over the step, so that a solver for smooth equations can take it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from node.adjoint.backward.legendre import legendre
from node.vector_field import Time


class Forcing:
    """W(t) in place of G(t) = sum_i g_i [t_i passed], over the step from t to t + dt: its Legendre projection.

    a' = -a J with jumps g_i is, for b = a - G, b' = -(b + G) J, by parts: the jumps enter as the steps of G. W has the
    moments of G up to its degree m, so that b at the step's end differs by O(dt^(m + 2)). A solver of order p takes a
    right-hand side that changes by O(1) over the step, as W does, with an error O(dt^(p - m + 1)).
    """

    def __init__(self, t: float, dt: float, times: Sequence[float], jumps: Tensor, degree: int) -> None:
        """Project the jumps (k, n) at the times (k,) within the step."""
        shares = [projected((time - t) / dt, degree) for time in times]
        weights = torch.tensor(shares, dtype=jumps.dtype, device="cpu").to(jumps.device, non_blocking=True)
        self._t = t
        self._dt = dt
        self._degree = degree
        self._c = torch.mm(jumps.t(), weights)  # (n, degree + 1), of the Legendre polynomials

    def cotangent(self, t: Time, b: Tensor) -> Tensor:
        """-(b + W(t)), the vector of the vector-Jacobian product."""
        return torch.addmv(b, self._c, self._basis(t), beta=-1, alpha=-1)

    def _basis(self, t: Time) -> Tensor:
        values = legendre(2 * ((t - self._t) / self._dt) - 1, self._degree)
        if isinstance(t, Tensor):
            return torch.stack([torch.as_tensor(x, dtype=self._c.dtype, device=t.device) for x in values])
        return torch.tensor(values, dtype=self._c.dtype, device="cpu").to(self._c.device, non_blocking=True)


def projected(x: float, degree: int) -> list[Time]:
    """The coefficients of P_0, ..., P_degree in the projection of the unit step function at x, on [0, 1].

    (2 j + 1) int_x^1 P_j = (P_(j-1)(x) - P_(j+1)(x)) / 2.
    """
    p = legendre(2 * x - 1, degree + 1)
    return [1 - x, *((p[j - 1] - p[j + 1]) / 2 for j in range(1, degree + 1))]
