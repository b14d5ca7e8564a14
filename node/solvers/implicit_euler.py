"""Euler's implicit method: Hairer & Wanner (1996), "Solving Ordinary Differential Equations II", section IV.1.

Order 1, L-stable: what is stiff is gone after a step, however large. One stage, found by Newton's method. Linear
interpolation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from node.jacobian import Factors, factors, linearise
from node.solvers.base import Solver, Step
from node.vector_field import FlatField, Time

# Newton's iteration doubles its digits each time, and takes four on most steps. Where it takes more than these it is
# lost, and so is the step: its state is not a number.
MAX_ITERATIONS = 15


@dataclass(frozen=True)
class ImplicitEuler(Solver):
    """y1 = y + dt f(t1, y1), to rounding.

    It carries f(t, y), which a step finds as (y1 - y) / dt: f itself would magnify the rounding of a stiff y1. The
    error estimate dt / 2 (f1 - f0) is the first term that the step leaves out.
    """

    kind = "stiff (Newton)"
    needs_jacobian = True
    self_starting = True  # what it carries enters the error estimate alone

    @property
    def stages(self) -> int:
        """One, for which f is called once an iteration."""
        return 1

    def workspace(self, y0: Tensor, *, record: bool) -> bool:
        """Whether to leave a graph."""
        return record

    def start(self, f: FlatField, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """f(t, y), for the estimate."""
        with torch.no_grad():
            return f(t, y) if f0 is None else f0.detach()

    def step(
        self, f: FlatField, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: bool, *, estimate: bool
    ) -> Step:
        """Newton's iteration, of which only the end is recorded.

        There dy1 = (I - dt df/dy)^-1 d(y + dt f), the implicit function theorem, is the derivative of one more
        iteration with a fixed matrix; of two more, so are the second derivatives.
        """
        t1 = t + dt
        with torch.no_grad():
            y1, newton = self._solved(f, t1, y, dt)
            f1 = (y1 - y) / dt
            error = dt / 2 * (f1 - carry) if estimate else None
        if workspace:
            for _ in range(2):
                y1 = y1 + newton.solve(y + dt * f(t1, y1) - y1)
        return Step(y1, error, f1)

    def dense(self, f: FlatField, t: Time, y: Tensor, dt: Time, step: Step, workspace: bool) -> Tensor:
        """Along the chord."""
        return (step.y1 - y).unsqueeze(0)

    def _solved(self, f: FlatField, t1: Time, y: Tensor, dt: Time) -> tuple[Tensor, Factors]:
        """The y1 that the iteration goes to from y, and its last matrix; NaN in samples where it goes nowhere.

        From a guess ahead it would find other roots: negative concentrations, on Robertson's problem.
        """
        resolution = torch.finfo(y.dtype).eps
        y1, last = y, torch.full_like(_largest(y), torch.nan)
        for _ in range(MAX_ITERATIONS):
            at = linearise(f, t1, y1, solver=self.name)
            newton = factors(1.0, dt, at.dy)
            change = newton.solve(y + dt * at.f - y1)
            y1 = y1 + change
            size, scale = _largest(change), _largest(y1)
            # Quadratic convergence tells the next change from the last two. Where rounding stops it, it is small.
            ahead = size * (size / last).nan_to_num(1.0).square()
            stopped = (size > 0.5 * last) & (size <= resolution**0.5 * scale)
            done = stopped | (ahead <= resolution * scale)
            if bool((done | ~size.isfinite()).all()):
                break
            last = size
        return y1.where(done, torch.nan), newton


def _largest(y: Tensor) -> Tensor:
    """The largest entry of each sample, a column."""
    return y.abs().amax(-1, keepdim=True)


IMPLICIT_EULER = ImplicitEuler(
    "implicit_euler",
    order=1,
    error_order=2,
    dense_order=1,
    source="Hairer & Wanner (1996), Solving Ordinary Differential Equations II, 2nd ed., section IV.1",
)
