"""McCallum & Foster (2024), "Efficient, accurate and stable gradients for neural ODEs", arXiv:2410.11648."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from node.dense import hermite
from node.errors import CallError
from node.solvers.base import SOLVERS, Step
from node.solvers.explicit.bosh3 import BOSH3
from node.solvers.explicit.dopri5 import DOPRI5
from node.solvers.explicit.midpoint import MIDPOINT
from node.solvers.explicit.rk4 import RK4
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.stages import Stages
from node.solvers.reversible.base import ReversibleSolver
from node.vector_field import RightHandSide, Time


class StagePair(NamedTuple):
    """The stages of Psi_dt(z) and of Psi_-dt(y1)."""

    forward: Stages
    backward: Stages


class BaseStep(NamedTuple):
    """The base method's step from z, from which dense output is made."""

    z: Tensor
    z_end: Tensor  # z + Psi_dt(z)
    slopes: tuple[Tensor, Tensor]  # f(t, z) and f(t1, y1)
    f_end: Tensor | None  # f(t1, z_end), if it was evaluated
    stages: Stages


@dataclass(frozen=True)
class ReversibleRungeKutta(ReversibleSolver):
    """A reversible method made from any explicit Runge-Kutta method, the base.

    y1 = l y + (1 - l) z + Psi_dt(z),  z1 = z - Psi_-dt(y1),  Psi_dt(z) = dt sum_i b_i k_i the base's increment.

    It has the base's order, and the error estimate of Psi_dt(z). Its carry is z, a second approximation of y. It takes
    twice the base's evaluations, except for the last stage of a base with FSAL, which y1 does not need: that is
    evaluated for the error estimate, or for a dense output that uses it. Dense output is that of the base, or Hermite's
    cubic if the base has that.

    coupling: l in (0, 1], the weight of y in the step; a smaller one is more stable, but reversing a step multiplies
    rounding errors by 1/l. A step on y' = lambda y has determinant l: where y shrinks by exp(dt lambda), y - z grows by
    about l exp(-dt lambda), so that the method is stable on the negative axis up to about |dt lambda| = 1 - l. Over
    long times a contracting field needs small steps or a smaller coupling.
    """

    base: ExplicitRungeKutta
    coupling: float = 0.999

    kind = "reversible (Runge-Kutta)"

    def __post_init__(self) -> None:
        if not 0 < self.coupling <= 1:
            raise CallError(f"reversible_{self.base.name}: coupling is {self.coupling!r} and must lie in (0, 1]")

    @property
    def name(self) -> str:
        """The base's name with the prefix `reversible_`."""
        return f"reversible_{self.base.name}"

    @property
    def order(self) -> int:
        """The base's order."""
        return self.base.order

    @property
    def error_order(self) -> int | None:
        """The power of dt in the base's error estimate."""
        return self.base.error_order

    @property
    def source(self) -> str:
        """The citations of this method's paper and of the base's."""
        return f"McCallum & Foster (2024), arXiv:2410.11648; {self.base.source}"

    @property
    def dense_order(self) -> int:
        """The order of the base's dense output."""
        return self.base.dense_order

    @property
    def stages(self) -> int:
        """The number of stages of both increments; the error estimate of a base with FSAL needs one more."""
        return 2 * self._increment_stages

    @property
    def _increment_stages(self) -> int:
        return self.base.stages - self.base.tableau.fsal

    def workspace(self, y0: Tensor, *, record: bool) -> StagePair:
        """The storage for the base's stages in both increments."""
        return StagePair(self.base.workspace(y0, record=record), self.base.workspace(y0, record=record))

    @override
    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """The initial carry z = y."""
        return y

    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: StagePair, *, estimate: bool
    ) -> Step:
        """One step, where z_end = z + Psi_dt(z) and y_back = y1 + Psi_-dt(y1) are the ends of the base's steps."""
        z, t1 = carry, t + dt
        f0, z_end = self._advance(f, t, z, dt, workspace.forward)
        y1 = torch.add(z_end, y - z, alpha=self.coupling)
        f1, y_back = self._advance(f, t1, y1, -dt, workspace.backward)
        base_step = BaseStep(z, z_end, (f0, f1), None, workspace.forward)
        error, rows = None, workspace.forward.weights
        if estimate and rows.b_error is not None:
            if self.base.tableau.fsal:
                base_step = base_step._replace(f_end=self._f_end(f, t1, base_step))
            error = workspace.forward.error(dt, rows.b_error)
        return Step(y1, error, z + (y1 - y_back), base_step)

    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Tensor, workspace: StagePair
    ) -> tuple[Tensor, Tensor]:
        """The inverse step: z = z1 + Psi_-dt(y1), and then y = (y1 - (1 - l) z - Psi_dt(z)) / l."""
        _, y_back = self._advance(f, t + dt, y1, -dt, workspace.backward)
        z = carry1 + (y_back - y1)
        _, z_end = self._advance(f, t, z, dt, workspace.forward)
        return torch.add(z, y1 - z_end, alpha=1 / self.coupling), z

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The base's dense output from z to z_end, with a term in theta to go from y to y1; or Hermite's cubic."""
        taken: BaseStep = step.stages
        if self.base.tableau.b_dense is None:
            return hermite(y, step.y1, dt, *taken.slopes)
        f_end = self._f_end(f, t + dt, taken) if taken.f_end is None else taken.f_end
        c = self.base.dense(f, t, taken.z, dt, Step(taken.z_end, None, f_end, taken.stages))
        gap = step.y1 - y - c.sum(0)
        return torch.cat((c[:1] + gap, c[1:]))

    def _advance(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, stages: Stages) -> tuple[Tensor, Tensor]:
        """f(t, y) and the end y + Psi_dt(y) of the base's step."""
        f0 = f(t, y)
        return f0, self.base.advance(f, t, y, dt, f0, stages)

    def _f_end(self, f: RightHandSide, t1: Time, taken: BaseStep) -> Tensor:
        """f(t1, z_end), which is the last stage of a base with FSAL."""
        f_end = f(t1, taken.z_end)
        if self.base.tableau.fsal:
            taken.stages.put[-1](f_end)
        return f_end


REVERSIBLE_MIDPOINT = SOLVERS.register(ReversibleRungeKutta(MIDPOINT))
REVERSIBLE_BOSH3 = SOLVERS.register(ReversibleRungeKutta(BOSH3))
REVERSIBLE_RK4 = SOLVERS.register(ReversibleRungeKutta(RK4))
REVERSIBLE_DOPRI5 = SOLVERS.register(ReversibleRungeKutta(DOPRI5))
