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


class TwoWays(NamedTuple):
    """Stages of Psi_dt(z) and of Psi_-dt(y1)."""

    forward: Stages
    backward: Stages


class BaseStep(NamedTuple):
    """The base's step from z, of which dense output is made."""

    z: Tensor
    z_end: Tensor  # z + Psi_dt(z)
    slopes: tuple[Tensor, Tensor]  # f(t, z) and f(t1, y1)
    f_end: Tensor | None  # f(t1, z_end), where it is evaluated
    stages: Stages


@dataclass(frozen=True)
class ReversibleRungeKutta(ReversibleSolver):
    """Any explicit Runge-Kutta method, made reversible.

    y1 = l y + (1 - l) z + Psi_dt(z),  z1 = z - Psi_-dt(y1),  Psi_dt(z) = dt sum_i b_i k_i the base's increment.

    Of the base's order, with its error estimate, that of Psi_dt(z). Carries z, a second approximation of y. Twice the
    base's evaluations, but for the last of a base with FSAL, which y1 does not need: it is made for the error estimate
    or a dense output that takes it. Dense output is the base's, or Hermite's cubic where that is the base's.

    coupling: l in (0, 1]. Reversing a step multiplies rounding by 1/l. A step on y' = lambda y has determinant l: where
    y shrinks by exp(dt lambda), y - z grows by about l exp(-dt lambda), so that it is stable on the negative axis to
    about |dt lambda| = 1 - l. Over long times a field that contracts asks for small steps or a smaller coupling.
    """

    base: ExplicitRungeKutta
    coupling: float = 0.999

    kind = "reversible (Runge-Kutta)"

    def __post_init__(self) -> None:
        if not 0 < self.coupling <= 1:
            raise CallError(f"reversible_{self.base.name}: coupling is {self.coupling!r} and must lie in (0, 1]")

    @property
    def name(self) -> str:
        """The base's name, after `reversible_`."""
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
        """The paper, and the base's."""
        return f"McCallum & Foster (2024), arXiv:2410.11648; {self.base.source}"

    @property
    def dense_order(self) -> int:
        """The order of the base's dense output."""
        return self.base.dense_order

    @property
    def stages(self) -> int:
        """The stages of both increments; one more with the error estimate of a base with FSAL."""
        return 2 * self._increment_stages

    @property
    def _increment_stages(self) -> int:
        return self.base.stages - self.base.tableau.fsal

    def workspace(self, y0: Tensor, *, record: bool) -> TwoWays:
        """The base's stages, twice."""
        return TwoWays(self.base.workspace(y0, record=record), self.base.workspace(y0, record=record))

    @override
    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """z = y."""
        return y

    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: TwoWays, *, estimate: bool
    ) -> Step:
        """One step, with z_end = z + Psi_dt(z) and y_back = y1 + Psi_-dt(y1), where the base's steps end."""
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
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Tensor, workspace: TwoWays
    ) -> tuple[Tensor, Tensor]:
        """z = z1 + Psi_-dt(y1), and then y = (y1 - (1 - l) z - Psi_dt(z)) / l."""
        _, y_back = self._advance(f, t + dt, y1, -dt, workspace.backward)
        z = carry1 + (y_back - y1)
        _, z_end = self._advance(f, t, z, dt, workspace.forward)
        return torch.add(z, y1 - z_end, alpha=1 / self.coupling), z

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The base's dense output from z to z_end, moved to join y to y1 by a term in theta; or Hermite's cubic."""
        taken: BaseStep = step.stages
        if self.base.tableau.b_dense is None:
            return hermite(y, step.y1, dt, *taken.slopes)
        f_end = self._f_end(f, t + dt, taken) if taken.f_end is None else taken.f_end
        c = self.base.dense(f, t, taken.z, dt, Step(taken.z_end, None, f_end, taken.stages))
        gap = step.y1 - y - c.sum(0)
        return torch.cat((c[:1] + gap, c[1:]))

    def _advance(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, stages: Stages) -> tuple[Tensor, Tensor]:
        """f(t, y) and y + Psi_dt(y)."""
        f0 = f(t, y)
        return f0, self.base.advance(f, t, y, dt, f0, stages)

    def _f_end(self, f: RightHandSide, t1: Time, taken: BaseStep) -> Tensor:
        """f(t1, z_end): the last stage of a base with FSAL."""
        f_end = f(t1, taken.z_end)
        if self.base.tableau.fsal:
            taken.stages.put[-1](f_end)
        return f_end


REVERSIBLE_MIDPOINT = SOLVERS.register(ReversibleRungeKutta(MIDPOINT))
REVERSIBLE_BOSH3 = SOLVERS.register(ReversibleRungeKutta(BOSH3))
REVERSIBLE_RK4 = SOLVERS.register(ReversibleRungeKutta(RK4))
REVERSIBLE_DOPRI5 = SOLVERS.register(ReversibleRungeKutta(DOPRI5))
