"""The step of all Rosenbrock methods."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from node.constants import made_once
from node.errors import CallError
from node.jacobian import Linearisation, factors, linearise
from node.solvers.base import Step, TableauSolver
from node.solvers.explicit.tableau import Row
from node.vector_field import RightHandSide, Time

# Coefficients are entered to 16 digits, so that sums are exact up to a few roundings of the largest term.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class RosenbrockTableau:
    """A Rosenbrock method in the form without products with the Jacobian J = df/dy(t, y).

    (I / gamma - dt J) u_i = dt f(t + alpha_i dt, y + sum_j a_ij u_j) + sum_j c_ij u_j + d_i dt^2 df/dt(t, y), j < i;
    y1 = y + sum_i b_i u_i. Hairer & Wanner (1996), eq. IV.7.25, times dt.

    alpha, d: (stages,). a, c: row i has i entries. b_error: b minus the embedded method's weights.
    dense: rows h_2, h_3, ... with y(t + theta dt) = (1 - theta) y + theta (y1 + (1 - theta) (p_2 + theta (p_3 + ...))),
    p_j = sum_i h_ji u_i.
    """

    gamma: float
    alpha: Row
    d: Row
    a: tuple[Row, ...]
    c: tuple[Row, ...]
    b: Row
    b_error: Row
    dense: tuple[Row, ...]

    def __post_init__(self) -> None:
        self._check_lengths()
        # For y' = 1 the u_i are dt d_i, which gives a condition on each row.
        for i, (a, c) in enumerate(zip(self.a, self.c, strict=True)):
            self._check_row(f"row {i} of a", a, self.alpha[i])
            self._check_row(f"row {i} of c", c, self.d[i] / self.gamma - 1.0)
        self._check_row("b", self.b, 1.0)
        self._check_row("b_error", self.b_error, 0.0)
        for j, row in enumerate(self.dense):
            self._check_row(f"row {j} of dense", row, 0.0)

    def _check_lengths(self) -> None:
        stages = len(self.b)
        parts = {"alpha": self.alpha, "d": self.d, "a": self.a, "c": self.c, "b_error": self.b_error}
        parts |= {f"row {j} of dense": row for j, row in enumerate(self.dense)}
        for name, part in parts.items():
            if len(part) != stages:
                raise CallError(f"{name} has {len(part)} rows or entries and must have {stages}: each has one a stage")
        for name, rows in (("a", self.a), ("c", self.c)):
            for i, row in enumerate(rows):
                if len(row) != i:
                    raise CallError(f"row {i} of {name} has {len(row)} entries and must have {i}: one an earlier stage")

    def _check_row(self, name: str, row: Row, expected: float) -> None:
        terms = [x * d for x, d in zip(row, self.d, strict=False)]
        if not abs(sum(terms) - expected) <= _ROUNDING * max([1.0, *map(abs, terms)]):  # so that NaN is refused too
            raise CallError(
                f"{name} times d sums to {sum(terms)!r} and must sum to {expected!r}: a coefficient is mistyped"
            )

    @property
    def powers(self) -> tuple[Row, ...]:
        """The dense output in powers of theta, as rows with y(t + theta dt) - y = sum_j theta^j row_j u."""
        zero = (0.0,) * len(self.b)
        upper, lower = (*self.dense, zero), (zero, *self.dense)
        rows = [tuple(h - g for h, g in zip(*pair, strict=True)) for pair in zip(upper, lower, strict=True)]
        rows[0] = tuple(b + h for b, h in zip(self.b, rows[0], strict=True))
        return tuple(rows)


class RosenbrockRows(NamedTuple):
    """A tableau's rows as tensors, for one dtype and device."""

    sums: tuple[Tensor, ...]  # for each stage (2, i): a_i and c_i
    ends: Tensor  # (2, stages): b and b_error
    powers: Tensor  # (degree, stages)


@made_once(64)
def _rows(tableau: RosenbrockTableau, dtype: torch.dtype, device: torch.device) -> RosenbrockRows:
    return RosenbrockRows(
        tuple(torch.tensor(pair, dtype=dtype, device=device) for pair in zip(tableau.a, tableau.c, strict=True)),
        torch.tensor((tableau.b, tableau.b_error), dtype=dtype, device=device),
        torch.tensor(tableau.powers, dtype=dtype, device=device),
    )


class Increments(NamedTuple):
    """A step's increments u (stages, *y.shape), and the tableau's rows of dense output."""

    u: Tensor
    powers: Tensor


@dataclass(frozen=True)
class Rosenbrock(TableauSolver):
    """A Rosenbrock method as a tableau with its name, orders and paper. Its carry is f, df/dy and df/dt at (t, y)."""

    tableau: RosenbrockTableau

    kind = "stiff (Rosenbrock)"
    needs_jacobian = True
    self_starting = True

    @property
    def stages(self) -> int:
        """The number of stages of the tableau; the evaluation of the first stage gives the derivatives too."""
        return len(self.tableau.b)

    @override
    def workspace(self, y0: Tensor, *, record: bool) -> RosenbrockRows:
        """The tableau's rows in the state's dtype."""
        return _rows(self.tableau, y0.dtype, y0.device)

    @override
    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Linearisation:
        """f with its derivatives at (t, y), by one evaluation, also if f0 is known."""
        return linearise(f, t, y, solver=self.name)

    def step(
        self,
        f: RightHandSide,
        t: Time,
        y: Tensor,
        dt: Time,
        carry: Linearisation,
        workspace: RosenbrockRows,
        *,
        estimate: bool,
    ) -> Step:
        """One step: one factorisation, and one linear solve for each stage."""
        tableau, rows = self.tableau, workspace
        matrix = factors(1 / tableau.gamma, dt, carry.dy)
        rise = dt * dt * carry.dt
        u = [matrix.solve(dt * carry.f + tableau.d[0] * rise)]
        for alpha, d, row in zip(tableau.alpha[1:], tableau.d[1:], rows.sums[1:], strict=True):
            moved, pulled = torch.tensordot(row, torch.stack(u), dims=1).unbind()
            u.append(matrix.solve(dt * f(t + alpha * dt, y + moved) + pulled + d * rise))
        increments = torch.stack(u)
        moved, error = torch.tensordot(rows.ends, increments, dims=1).unbind()
        return Step(y + moved, error.detach() if estimate else None, None, Increments(increments, rows.powers))

    @override
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The tableau's polynomial in theta."""
        u, powers = step.stages
        c: Tensor = torch.tensordot(powers, u, dims=1)
        return c
