"""Kidger, Foster, Li & Lyons (2021), "Efficient and accurate gradients for neural SDEs", NeurIPS.

Order 2 with an embedded order 1. One evaluation in each step. Hermite interpolation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from node.solvers.base import SOLVERS, Step
from node.solvers.reversible.base import ReversibleSolver, moved, parabola
from node.vector_field import RightHandSide, Time

Carry = tuple[Tensor, Tensor]  # yhat and f(t, yhat)


@dataclass(frozen=True)
class ReversibleHeun(ReversibleSolver):
    """The reversible Heun method, algorithm 1 without noise. Its carry: yhat, a second approximation of y, and f(yhat).

    yhat1 = 2 y - yhat + dt f(t, yhat),  y1 = y + dt/2 (f(t, yhat) + f(t1, yhat1)).

    It is stable on the imaginary axis only, |Im dt lambda| <= 1.
    """

    name = "reversible_heun"
    order = 2
    error_order = 2
    source = "Kidger, Foster, Li & Lyons (2021), NeurIPS"
    dense_order = 2
    kind = "reversible (Heun)"

    @property
    def stages(self) -> int:
        """The evaluations of f at both ends of a step; the second is used again by the next step."""
        return 2

    def workspace(self, y0: Tensor, *, record: bool) -> None:
        """None, as a step needs no storage."""

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Carry:
        """The initial carry, with yhat = y."""
        return y, f(t, y) if f0 is None else f0

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Carry, workspace: None, *, estimate: bool
    ) -> Step:
        """Algorithm 1; the error estimate is dt/2 (f1 - f0), the difference of trapezoidal rule and Euler's method."""
        yhat, fhat = carry
        yhat1 = _reflected(yhat, y, dt, fhat)
        fhat1 = f(t + dt, yhat1)
        y1 = moved(y, 0.5 * dt, fhat + fhat1)
        error = (fhat1 - fhat).detach() * (0.5 * dt) if estimate else None
        return Step(y1, error, (yhat1, fhat1))

    @override
    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Carry, workspace: None
    ) -> tuple[Tensor, Carry]:
        """Algorithm 2: the inverse step, which is the step itself with -dt."""
        yhat1, fhat1 = carry1
        yhat = _reflected(yhat1, y1, -dt, fhat1)
        fhat = f(t, yhat)
        return moved(y1, -0.5 * dt, fhat + fhat1), (yhat, fhat)

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """Hermite's cubic with fhat and fhat1 as slopes; it is a parabola, as y1 - y = dt/2 (fhat + fhat1)."""
        return parabola(y, step.y1, dt, step.carry[1])


def _reflected(yhat: Tensor, y: Tensor, dt: Time, fhat: Tensor) -> Tensor:
    """2 y - yhat + dt fhat."""
    return moved(torch.lerp(yhat, y, 2.0), dt, fhat)


REVERSIBLE_HEUN = SOLVERS.register(ReversibleHeun())
