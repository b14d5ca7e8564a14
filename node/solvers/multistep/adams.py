"""Adams (1883), in Bashforth & Adams, "An attempt to test the theories of capillary action", Cambridge.

Multistep methods: y1 is y plus the integral of the polynomial through the last slopes f(t_j, y_j). The weights are
computed for the actual times, so that a shortened last step or a nonuniform grid keeps the order. No error estimate.
Dense output is the same integral up to theta, without evaluations of f.
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

# Times, (k,) on the CPU or (B, k), and the k slopes at them, oldest first. Entries that are not known yet are those of
# the start, so that the oldest two times are equal until the history is complete.
Carry = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)  # a slot replaces the abstract property, as in a TableauSolver
class Adams(Solver):
    """An Adams method of any order k. Its carry is the last k slopes; a Runge-Kutta method takes the first k - 1 steps.

    order: the number k of slopes. starter: the Runge-Kutta method, of order k - 1 at least; it also gives the dense
    output in its steps.
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
        """The method's prefix and its order, such as ab4."""
        return f"{self.prefix}{self.order}"

    @property
    def dense_order(self) -> int:
        """The method's order, or that of the starter's dense output if that is less."""
        return min(self.order, self.starter.dense_order)

    def workspace(self, y0: Tensor, *, record: bool) -> Stages:
        """The storage for the starter's stages."""
        return self.starter.workspace(y0, record=record)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Carry:
        """A history in which all slopes are f(t, y)."""
        f0 = f(t, y) if f0 is None else f0
        return _stored((t,) * self.order), *[f0] * self.order

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Carry, workspace: Stages, *, estimate: bool
    ) -> Step:
        """One step: Hairer, Norsett & Wanner (1993), III.1 and III.5; the next step uses f(t1, y1), evaluated last."""
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
        """The polynomial that the step integrates, made from the polynomial through the history."""

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The step's polynomial, integrated up to theta; in the first steps the starter's dense output."""
        taken: Step | SlopePolynomial = step.stages
        if isinstance(taken, SlopePolynomial):
            return taken.dense(dt)
        return self.starter.dense(f, t, y, dt, taken._replace(carry=step.carry[-1]))


@dataclass(frozen=True)
class AdamsBashforth(Adams):
    """The explicit method: the polynomial through the last k slopes is extrapolated. One evaluation in each step."""

    prefix = "ab"
    kind = "Adams-Bashforth"

    @property
    def stages(self) -> int:
        """The evaluations of f at both ends of a step; the second is used again by the next step, as by FSAL."""
        return 2

    @override
    def _polynomial(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, history: SlopePolynomial) -> SlopePolynomial:
        return history


@dataclass(frozen=True)
class AdamsBashforthMoulton(Adams):
    """Predictor and corrector, PECE: the implicit method of order k, applied once to the result of the explicit one.

    Moulton (1926), "New methods in exterior ballistics", Chicago. The slope at the predicted state replaces the oldest
    one. f is then evaluated at the corrected state, for the next step: two evaluations in each step.
    """

    prefix = "abm"
    kind = "Adams-Bashforth-Moulton"

    @property
    def stages(self) -> int:
        """The evaluations of f at the start, the predicted and the corrected state; the next step uses the last."""
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
    """Whether two times are equal in all samples; a sample that has ended also has equal times."""
    return bool((one == other).all()) if isinstance(one, Tensor) else one == other


def _nodes(times: Nodes, t: Time, dt: Time) -> Nodes:
    """The nodes (t_j - t) / dt; whole numbers if the grid is uniform up to rounding, or if a sample has dt = 0."""
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
