"""The one step of every explicit Runge-Kutta method."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from node.solvers.base import Solver, Step
from node.solvers.stages import BufferedStages, RecordedStages, Stages, weights
from node.tableau import ButcherTableau
from node.vector_field import FlatField


@dataclass(frozen=True)
class ExplicitRungeKutta(Solver):
    """A Butcher tableau with its name, its order and its paper."""

    tableau: ButcherTableau

    @property
    def stages(self) -> int:
        """The rows of the tableau."""
        return self.tableau.stages

    @property
    def dense_with_f1(self) -> bool:
        """Whether dense output has one row more than the method has stages."""
        return len(self.tableau.dense) > self.tableau.stages

    def workspace(self, y0: Tensor, *, record: bool) -> Stages:
        """One row a stage, and one for f1 where dense output needs it."""
        rows = weights(self.tableau, y0.dtype, y0.device)
        return RecordedStages(rows) if record else BufferedStages(rows, y0)

    def step(
        self, f: FlatField, t: float, y: Tensor, dt: float, f0: Tensor, workspace: Stages, *, estimate: bool
    ) -> Step:
        """Hairer, Norsett & Wanner (1993), eq. II.1.8 and II.4.3-4."""
        tableau = self.tableau
        rows = workspace.weights
        workspace.put(0, f0)
        y_i, k_i = y, f0
        for i in range(1, tableau.stages):
            y_i = workspace.combine(y, dt, rows.a[i])
            k_i = f(t + tableau.c[i] * dt, y_i)
            workspace.put(i, k_i)
        y1 = y_i if tableau.ssal else workspace.combine(y, dt, rows.b)
        error = workspace.error(dt, rows.b_error) if estimate and rows.b_error is not None else None
        return Step(y1, error, k_i if tableau.fsal else None)

    def interpolate(
        self,
        f: FlatField,
        t: float,
        y: Tensor,
        dt: float,
        f1: Tensor | None,
        workspace: Stages,
        thetas: Sequence[float],
    ) -> Tensor:
        """y + dt sum_i b_i(theta) k_i, for all thetas in one product."""
        rows = workspace.weights
        if f1 is not None and self.dense_with_f1:
            workspace.put(self.stages, f1)
        for i, (c, row) in enumerate(zip(self.tableau.dense_c, rows.dense_a, strict=True), start=self.stages + 1):
            workspace.put(i, f(t + c * dt, workspace.combine(y, dt, row)))
        theta = torch.tensor(thetas, dtype=torch.float64, device="cpu").unsqueeze(1)
        powers = theta ** torch.arange(1, rows.dense.shape[1] + 1, device="cpu")
        b_theta = (powers @ rows.dense.t()).to(y)
        return torch.addmm(y.expand(len(thetas), -1), b_theta, workspace.matrix(len(rows.dense)), alpha=dt)
