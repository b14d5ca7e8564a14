"""The base of algebraically reversible solvers, whose steps can be inverted: gradients need no stored states."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.solvers.base import Solver
from node.vector_field import RightHandSide, Time


@dataclass(frozen=True)
class ReversibleSolver(Solver):
    """A solver whose step is a bijection of (y, carry), with an inverse in closed form."""

    @abstractmethod
    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Any, workspace: Any
    ) -> tuple[Tensor, Any]:
        """The inverse of the step, up to rounding: (y, carry) at t from those at t + dt.

        t, dt: the same values as in the step, not the time of its end, so that f is called at exactly the same times.
        """


def moved(y: Tensor, dt: Time, slope: Tensor) -> Tensor:
    """y + dt slope, in one operation."""
    return torch.addcmul(y, slope, dt) if isinstance(dt, Tensor) else torch.add(y, slope, alpha=dt)


def parabola(y: Tensor, y1: Tensor, dt: Time, slope1: Tensor) -> Tensor:
    """The parabola from y to y1 with slope1 at the end: coefficients (2, *y.shape) of theta, theta^2.

    It is Hermite's cubic where y1 - y = dt/2 (slope0 + slope1).
    """
    rise, end = y1 - y, dt * slope1
    return torch.stack((2 * rise - end, end - rise))
