"""Adams (1883), in Bashforth & Adams, "An attempt to test the theories of capillary action", Cambridge.

Multistep methods: y1 is y plus the integral of the polynomial through the last slopes f(t_j, y_j). The weights are
those of the times as they are, so that a shortened last step or a grid that is not uniform keeps the order. No error
estimate. Dense output is the same integral up to theta, and evaluates nothing.
"""

import sys
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from node.errors import CallError
from node.solvers.base import SOLVERS, Solver, Step
from node.solvers.explicit.dopri5 import DOPRI5
from node.solvers.explicit.heun import HEUN
from node.solvers.explicit.heun3 import HEUN3
from node.solvers.explicit.rk4 import RK4
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.stages import Stages
from node.solvers.multistep.slope_polynomial import Nodes, SlopePolynomial
from node.vector_field import RightHandSide, Time

# Times, (k,) on the CPU or (B, k), and the k slopes at them, oldest first. What is not known yet is filled with the
# start's, so that the oldest two times are equal until the history is complete.
Carry = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)  # a slot takes the place of the property, as in a TableauSolver
class Adams(Solver):
    """An Adams method of any order k: carries the last k slopes; a Runge-Kutta method takes the first k - 1 steps.

    starter: of order k - 1 at least, for y; dense output in its steps is its own.
    """

    order: int = field()
    starter: ExplicitRungeKutta = field(kw_only=True)

    error_order = None
    source = "Adams (1883); Hairer, Norsett & Wanner (1993), III.1 and III.5"
    prefix: ClassVar[str]  # of the name

    def __post_init__(self) -> None:
        name = self.name
        if self.order < 1:
            raise CallError(f"{name}: order is {self.order} and must be 1 or more")
        if self.starter.order < self.order - 1:
            raise CallError(
                f"{name}: starter {self.starter.name} is of order {self.starter.order}: "
                f"take one of order {self.order - 1} or more"
            )

    @property
    def name(self) -> str:
        """The method's letters and its order."""
        return f"{self.prefix}{self.order}"

    @property
    def dense_order(self) -> int:
        """The method's order, or that of the starter's dense output where it is less."""
        return min(self.order, self.starter.dense_order)

    def workspace(self, y0: Tensor, *, record: bool) -> Stages:
        """The starter's stages."""
        return self.starter.workspace(y0, record=record)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Carry:
        """A history of f(t, y) alone."""
        f0 = f(t, y) if f0 is None else f0
        return _stored((t,) * self.order), *[f0] * self.order

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Carry, workspace: Stages, *, estimate: bool
    ) -> Step:
        """Hairer, Norsett & Wanner (1993), III.1 and III.5; f(t1, y1) is evaluated last, and handed on."""
        stored, *slopes = carry
        times, t1 = _times(stored), t + dt
        if self.order > 1 and _equal(times[0], times[1]):
            start = self.starter.step(f, t, y, dt, slopes[-1], workspace, estimate=False)
            y1, f1 = start.y1, start.carry
            taken: Step | SlopePolynomial = start
        else:
            history = SlopePolynomial(_nodes(times, t, dt), tuple(slopes))
            integrated = self._polynomial(f, t, y, dt, history)
            y1, f1 = integrated.advance(y, dt), None
            taken = integrated
        f1 = f(t1, y1) if f1 is None else f1
        return Step(y1, None, (_stored((*times[1:], t1)), *slopes[1:], f1), taken)

    @abstractmethod
    def _polynomial(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, history: SlopePolynomial) -> SlopePolynomial:
        """The polynomial that the step integrates, from the one through the history."""

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The step's polynomial integrated to theta; in the first steps the starter's dense output."""
        taken: Step | SlopePolynomial = step.stages
        if isinstance(taken, SlopePolynomial):
            return taken.dense(dt)
        return self.starter.dense(f, t, y, dt, taken._replace(carry=step.carry[-1]))


@dataclass(frozen=True)
class AdamsBashforth(Adams):
    """Explicit: the polynomial through the last k slopes, extrapolated. One evaluation a step."""

    prefix = "ab"
    kind = "Adams-Bashforth"

    @property
    def stages(self) -> int:
        """f at either end of a step, of which the second is handed on. The starter takes its own."""
        return 2

    @override
    def _polynomial(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, history: SlopePolynomial) -> SlopePolynomial:
        return history


@dataclass(frozen=True)
class AdamsBashforthMoulton(Adams):
    """Predictor and corrector, PECE: the implicit method of order k, once, from the explicit one of order k.

    Moulton (1926), "New methods in exterior ballistics", Chicago. The slope at the predicted state takes the place of
    the oldest one. It is then evaluated again at the corrected state, and handed on: two evaluations a step.
    """

    prefix = "abm"
    kind = "Adams-Bashforth-Moulton"

    @property
    def stages(self) -> int:
        """f at the start, the predicted and the corrected state; the last is handed on. The starter takes its own."""
        return 3

    def _polynomial(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, history: SlopePolynomial) -> SlopePolynomial:
        predicted = f(t + dt, history.advance(y, dt))
        end = torch.ones_like(dt) if isinstance(dt, Tensor) else 1.0
        return SlopePolynomial((*history.nodes[1:], end), (*history.slopes[1:], predicted))


def _stored(times: Nodes) -> Tensor:
    if isinstance(times[0], Tensor):
        return torch.cat(times, dim=-1)
    return torch.tensor(times, dtype=torch.float64, device="cpu")


def _times(stored: Tensor) -> Nodes:
    """The times of a stored history: floats, or columns (B, 1)."""
    return tuple(stored.tolist()) if stored.dim() == 1 else stored.unsqueeze(-1).unbind(-2)


def _equal(one: Time, other: Time) -> bool:
    """For all samples: one that rests at its end has equal times too."""
    return bool((one == other).all()) if isinstance(one, Tensor) else one == other


def _nodes(times: Nodes, t: Time, dt: Time) -> Nodes:
    """(t_j - t) / dt; whole numbers where the grid is uniform but for the rounding of times, or a sample rests."""
    whole = [float(j) for j in range(1 - len(times), 1)]
    if isinstance(dt, Tensor):
        return tuple(torch.where(dt == 0, j, (time - t) / dt) for j, time in zip(whole, times, strict=True))
    slack = (len(times) + 2) * sys.float_info.epsilon * max(abs(times[0]), abs(t + dt))
    if all(abs(time - t - j * dt) <= slack for j, time in zip(whole, times, strict=True)):
        return tuple(whole)
    return tuple((time - t) / dt for time in times)


AB2 = SOLVERS.register(AdamsBashforth(2, starter=HEUN))
AB3 = SOLVERS.register(AdamsBashforth(3, starter=HEUN3))
AB4 = SOLVERS.register(AdamsBashforth(4, starter=RK4))
AB5 = SOLVERS.register(AdamsBashforth(5, starter=DOPRI5))
ABM2 = SOLVERS.register(AdamsBashforthMoulton(2, starter=HEUN))
ABM3 = SOLVERS.register(AdamsBashforthMoulton(3, starter=HEUN3))
ABM4 = SOLVERS.register(AdamsBashforthMoulton(4, starter=RK4))
ABM5 = SOLVERS.register(AdamsBashforthMoulton(5, starter=DOPRI5))
