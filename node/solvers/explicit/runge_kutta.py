"""The step of all explicit Runge-Kutta methods."""

from dataclasses import dataclass

import torch
from torch import Tensor

from node.solvers.base import Step, TableauSolver
from node.solvers.explicit.stages import BufferedStages, RecordedStages, Stages, weights
from node.solvers.explicit.tableau import ButcherTableau
from node.vector_field import RightHandSide, Time


@dataclass(frozen=True)
class ExplicitRungeKutta(TableauSolver):
    """An explicit Runge-Kutta method as a Butcher tableau with its name, orders and paper. Its carry is f(t, y)."""

    tableau: ButcherTableau

    kind = "explicit Runge-Kutta"
    self_starting = True

    @property
    def stages(self) -> int:
        """The number of stages of the tableau."""
        return self.tableau.stages

    @property
    def dense_with_f1(self) -> bool:
        """Whether dense output uses f(t1, y1) as a stage beyond those of the method."""
        return len(self.tableau.dense) > self.tableau.stages

    def workspace(self, y0: Tensor, *, record: bool) -> Stages:
        """The storage for the stages, with more rows if dense output has stages of its own."""
        rows = weights(self.tableau, y0.dtype, y0.device)
        return RecordedStages(rows) if record else BufferedStages(rows, y0)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """The first stage, f(t, y)."""
        return f(t, y) if f0 is None else f0

    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: Stages, *, estimate: bool
    ) -> Step:
        """One step: Hairer, Norsett & Wanner (1993), eq. II.1.8 and II.4.3-4."""
        tableau, rows = self.tableau, workspace.weights
        y_i, k_i = self._evaluate(f, t, y, dt, carry, workspace, tableau.stages)
        y1 = y_i if tableau.ssal else workspace.combine(y, dt, rows.b)
        error = workspace.error(dt, rows.b_error) if estimate and rows.b_error is not None else None
        return Step(y1, error, k_i if tableau.fsal else None, workspace)

    def advance(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: Stages) -> Tensor:
        """y1, without the last stage if that is evaluated at y1 itself."""
        tableau, rows = self.tableau, workspace.weights
        self._evaluate(f, t, y, dt, carry, workspace, tableau.stages - tableau.ssal)
        return workspace.combine(y, dt, rows.a[-1] if tableau.ssal else rows.b)

    def _evaluate(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, k_0: Tensor, workspace: Stages, stages: int
    ) -> tuple[Tensor, Tensor]:
        """Evaluate the first stages into the workspace; y_i and k_i of the last of them. stages: their number."""
        c, rows, put, combine = self.tableau.c, workspace.weights, workspace.put, workspace.combine
        put[0](k_0)
        y_i, k_i = y, k_0
        times = torch.addcmul(t, rows.c, dt).unbind() if isinstance(dt, Tensor) and isinstance(t, Tensor) else None
        for i in range(1, stages):
            y_i = combine(y, dt, rows.a[i])
            k_i = f(t + c[i] * dt if times is None else times[i], y_i)
            put[i](k_i)
        return y_i, k_i

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The coefficients dt sum_i d_ij k_i of theta^j, with b_i(theta) = sum_j d_ij theta^j."""
        stages: Stages = step.stages
        if self.dense_with_f1:
            stages.put[self.stages](step.carry)
        rows = zip(self.tableau.dense_c, stages.weights.dense_a, strict=True)
        for i, (c, row) in enumerate(rows, start=self.stages + 1):
            stages.put[i](f(t + c * dt, stages.combine(y, dt, row)))
        return stages.polynomial(dt)
