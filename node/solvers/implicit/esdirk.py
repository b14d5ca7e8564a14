"""The step of all stiffly accurate diagonally implicit Runge-Kutta methods with an explicit first stage (ESDIRK)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from node.constants import made_once
from node.dense import hermite
from node.errors import CallError
from node.solvers.base import Step, TableauSolver
from node.solvers.explicit.tableau import Row
from node.solvers.implicit.newton import Newton
from node.vector_field import RightHandSide, Time

# Coefficients are entered as rationals or to 16 digits, so that sums are exact up to a few roundings.
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)  # hashed by identity, as a ButcherTableau is
class ESDIRKTableau:
    """k_0 = f(t, y), k_i = f(t + c_i dt, y_i), y_i = y + dt (sum_j a_ij k_j + gamma k_i), j < i; y1 is the last y_i.

    c: (stages,), c[0] = 0 and c[-1] = 1. a: row i has i entries, a[0] is empty; gamma is the diagonal of all others.
    b_error: (stages,), the last row of a with its gamma, which is b, minus the embedded method's weights.
    """

    gamma: float
    c: Row
    a: tuple[Row, ...]
    b_error: Row

    def __post_init__(self) -> None:
        stages = len(self.c)
        for name, part in (("a", self.a), ("b_error", self.b_error)):
            if len(part) != stages:
                raise CallError(f"{name} has {len(part)} rows or entries and must have {stages}: each has one a stage")
        for i, row in enumerate(self.a):
            if len(row) != i:
                raise CallError(f"row {i} of a has {len(row)} entries and must have {i}: one an earlier stage")
            _check_sum(f"row {i} of a with gamma", (*row, self.gamma if i else 0.0), self.c[i])
        _check_sum("b_error", self.b_error, 0.0)
        if self.c[0] != 0.0 or self.c[-1] != 1.0:
            raise CallError(f"c runs from {self.c[0]!r} to {self.c[-1]!r} and must from 0 to 1: y1 is the last stage")


def _check_sum(what: str, row: Row, expected: float) -> None:
    if not abs(sum(row) - expected) <= _ROUNDING * max([1.0, *map(abs, row)]):  # so that NaN is refused too
        raise CallError(f"{what} sums to {sum(row)!r} and must sum to {expected!r}: a coefficient is mistyped")


class _Rows(NamedTuple):
    """A tableau's rows as tensors, for one dtype and device."""

    a: tuple[Tensor, ...]
    b_error: Tensor


@made_once(64)
def _rows(tableau: ESDIRKTableau, dtype: torch.dtype, device: torch.device) -> _Rows:
    return _Rows(
        tuple(torch.tensor(row, dtype=dtype, device=device) for row in tableau.a),
        torch.tensor(tableau.b_error, dtype=dtype, device=device),
    )


class ImplicitStages(NamedTuple):
    """The tableau's rows in the state's dtype, and whether stages leave a graph."""

    rows: _Rows
    record: bool


@dataclass(frozen=True)
class ESDIRK(TableauSolver):
    """An ESDIRK method as a tableau with its name, its orders and its paper. Its carry is f(t, y), the first stage.

    After a step the carry is the last stage's slope, computed as (y_i - rest) / (gamma dt): a call of f would magnify
    the rounding of a stiff y1. Stages are solved to rounding, whatever the tolerance, as exact gradients need that.
    Dense output is Hermite's cubic, or the straight line if its order is 1.
    """

    tableau: ESDIRKTableau

    kind = "stiff (ESDIRK)"
    needs_jacobian = True
    self_starting = True

    @property
    def stages(self) -> int:
        """The number of stages that y1 needs; an implicit stage calls f once in each iteration."""
        return len(self.tableau.c) - (not any(row[0] for row in self.tableau.a[1:]))

    def workspace(self, y0: Tensor, *, record: bool) -> ImplicitStages:
        """The tableau's rows in the state's dtype."""
        return ImplicitStages(_rows(self.tableau, y0.dtype, y0.device), record)

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """The first stage, f(t, y)."""
        return f(t, y) if f0 is None else f0

    def step(
        self,
        f: RightHandSide,
        t: Time,
        y: Tensor,
        dt: Time,
        carry: Tensor,
        workspace: ImplicitStages,
        *,
        estimate: bool,
    ) -> Step:
        """One step: Hairer & Wanner (1996), section IV.6; the stages share one matrix of Newton's iteration."""
        tableau, rows = self.tableau, workspace.rows
        k, y_i = [carry], y
        newton = Newton(f, dt * tableau.gamma, self.name)
        for c, row, weights in zip(tableau.c[1:], tableau.a[1:], rows.a[1:], strict=True):
            rest = y + dt * torch.tensordot(weights, torch.stack(k), dims=1) if any(row) else y
            y_i = self._stage(newton, t + c * dt, rest, y_i, record=workspace.record)
            k.append(_slope(y_i - rest, newton.weight, carry))
        error = None
        if estimate:
            with torch.no_grad():
                error = dt * torch.tensordot(rows.b_error, torch.stack(k), dims=1)
        return Step(y_i, error, k[-1], carry)

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """Hermite's cubic with the slopes at both ends, `step.stages` and `step.carry`; or the straight line."""
        if self.dense_order == 1:
            return (step.y1 - y).unsqueeze(0)
        return hermite(y, step.y1, dt, step.stages, step.carry)

    def _stage(self, newton: Newton, t: Time, rest: Tensor, guess: Tensor, *, record: bool) -> Tensor:
        """The state y_i of one stage, by an iteration that starts at the stage before.

        An extrapolated guess may lead to another root, such as negative concentrations.
        """
        with torch.no_grad():
            y_i = newton.solve(t, rest, guess)
        return newton.recorded(t, rest, y_i) if record and bool(y_i.isfinite().any()) else y_i


def _slope(rise: Tensor, weight: Time, at_rest: Tensor) -> Tensor:
    """rise / weight, or `at_rest` in a step of size zero, which samples take that wait for others."""
    if not isinstance(weight, Tensor):
        return rise / weight if weight else at_rest
    moves = weight != 0
    return (rise / weight.where(moves, 1.0)).where(moves, at_rest)
