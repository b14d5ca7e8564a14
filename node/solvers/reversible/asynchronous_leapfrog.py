"""Zhuang, Dvornek, Tatikonda & Duncan (2021), "MALI: a memory efficient and reverse accurate integrator", ICLR.

Order 2 with an embedded order 1 (Euler). One evaluation in each step. Hermite interpolation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from node.errors import CallError
from node.solvers.base import SOLVERS, Step
from node.solvers.reversible.base import ReversibleSolver, moved, parabola
from node.vector_field import RightHandSide, Time


@dataclass(frozen=True)
class AsynchronousLeapfrog(ReversibleSolver):
    """The asynchronous leapfrog: a reversible method whose carry is a velocity v, which starts as f(t0, y0).

    k = y + dt/2 v,  u = f(t + dt/2, k),  v1 = v + 2 eta (u - v),  y1 = k + dt/2 v1.

    eta: the damping coefficient in (0, 1], not 1/2; 1 means no damping and order 2, smaller values damp with order 1.
    Without damping the method is stable on the imaginary axis only, |Im dt lambda| <= 1: where f contracts, v - f grows
    as fast as y shrinks, at any tolerance. With damping it is stable in a region, and reversing a step multiplies the
    rounding of v by 1 / |1 - 2 eta|.
    """

    eta: float = 1.0

    name = "alf"
    error_order = 2
    source = "Zhuang, Dvornek, Tatikonda & Duncan (2021), ICLR; Mutze (2013)"
    kind = "reversible (asynchronous leapfrog)"

    def __post_init__(self) -> None:
        if not 0 < self.eta <= 1 or self.eta == 0.5:
            raise CallError(f"alf: eta is {self.eta!r}, must lie in (0, 1] and not be 1/2, where v is forgotten")

    @property
    def order(self) -> int:
        """The order of y1: 2 without damping, else 1."""
        return 2 if self.eta == 1 else 1

    @property
    def dense_order(self) -> int:
        """The order of y1."""
        return self.order

    @property
    def stages(self) -> int:
        """The evaluations of f: for v at the start, needed once, and at the middle of each step."""
        return 2

    def workspace(self, y0: Tensor, *, record: bool) -> None:
        """None, as a step needs no storage."""

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """The initial velocity v = f(t, y)."""
        return f(t, y) if f0 is None else f0

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: None, *, estimate: bool
    ) -> Step:
        """One step; the error estimate is dt (u - v), the difference of the midpoint rule and Euler's method."""
        v, half = carry, 0.5 * dt
        k = moved(y, half, v)
        u = f(t + half, k)
        v1 = torch.lerp(v, u, 2 * self.eta)
        error = (u - v).detach() * dt if estimate else None
        return Step(moved(k, half, v1), error, v1)

    @override
    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Tensor, workspace: None
    ) -> tuple[Tensor, Tensor]:
        """The inverse step, with the same k and u: v = (v1 - 2 eta u) / (1 - 2 eta)."""
        half = 0.5 * dt
        k = moved(y1, -half, carry1)
        u = f(t + half, k)
        v = torch.lerp(carry1, u, 2 * self.eta / (2 * self.eta - 1))
        return moved(k, -half, v), v

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """Hermite's cubic with v and v1 as slopes; it is a parabola, as y1 - y = dt/2 (v + v1)."""
        return parabola(y, step.y1, dt, step.carry)


ALF = SOLVERS.register(AsynchronousLeapfrog())
