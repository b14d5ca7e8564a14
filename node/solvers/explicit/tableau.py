"""Butcher tableaus: a Runge-Kutta method as data."""

from dataclasses import dataclass
from functools import cached_property

from node.errors import CallError

Row = tuple[float, ...]

# Tableaus are entered as rationals or to 16 digits, so that sums are exact up to a few roundings of the largest term.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)  # hashed by identity: hashing a hundred numbers would slow down every solve
class ButcherTableau:
    """An explicit Runge-Kutta method: k_i = f(t + c_i dt, y + dt sum_j a_ij k_j), y1 = y + dt sum_i b_i k_i.

    c: (stages,), c[0] = 0. a: row i has i entries, a[0] is empty. b: (stages,).
    b_error: b minus the embedded method's weights, None without an error estimate.
    b_dense: row i holds the coefficients of theta, theta^2, ... in b_i(theta); y(t + theta dt) = y + dt sum_i
    b_i(theta) k_i. None: the cubic Hermite interpolant is derived.
    dense_c, dense_a: further stages for dense output; in their order f1 = f(t1, y1) comes between the step's and these.
    """

    c: Row
    a: tuple[Row, ...]
    b: Row
    b_error: Row | None = None
    b_dense: tuple[Row, ...] | None = None
    dense_c: Row = ()
    dense_a: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        stages = len(self.b)
        dense_stages = stages + 1 + len(self.dense_c) if self.dense_c else stages
        for name, part, length in (
            ("c", self.c, stages),
            ("a", self.a, stages),
            ("b_error", self.b_error, stages),
            ("dense_a", self.dense_a, len(self.dense_c)),
            ("b_dense", self.b_dense, dense_stages),
        ):
            if part is not None and len(part) != length:
                raise CallError(f"{name} has {len(part)} rows or entries and must have {length}: each has one a stage")
        self._check_rows("a", self.a, self.c, first=0)
        self._check_rows("dense_a", self.dense_a, self.dense_c, first=stages + 1)
        _check_sum("b", self.b, 1.0)
        if self.b_error is not None:
            _check_sum("b_error", self.b_error, 0.0)
        if self.b_dense is not None:
            for i, row in enumerate(self.b_dense):
                _check_sum(f"row {i} of b_dense", row, self.b[i] if i < stages else 0.0)
            for power, column in enumerate(zip(*self.b_dense, strict=True), start=1):
                _check_sum(f"theta^{power} in b_dense", column, 1.0 if power == 1 else 0.0)

    @staticmethod
    def _check_rows(name: str, rows: tuple[Row, ...], c: Row, *, first: int) -> None:
        """Check that each row has an entry for each stage before it, and sums to its node."""
        for i, row in enumerate(rows):
            if len(row) != first + i:
                raise CallError(f"row {i} of {name} has {len(row)} entries, an explicit method's has {first + i}")
            _check_sum(f"row {i} of {name}", row, c[i])

    @property
    def stages(self) -> int:
        """The number of stages: the evaluations of f in a step whose first stage is not known."""
        return len(self.b)

    @cached_property
    def ssal(self) -> bool:
        """Solution same as last: the last stage is evaluated at y1 itself."""
        return self.b[-1] == 0.0 and self.a[-1] == self.b[:-1]

    @cached_property
    def fsal(self) -> bool:
        """First same as last: the last stage is f(t1, y1), the first stage of the next step."""
        return self.ssal and self.c[-1] == 1.0

    @cached_property
    def dense(self) -> tuple[Row, ...]:
        """The weights of dense output: b_dense, or the cubic Hermite interpolant of y0, y1, f0, f1 in the same form.

        The Hermite interpolant of a method without FSAL has one more row, for f1 = f(t1, y1).
        """
        if self.b_dense is not None:
            return self.b_dense
        # Hermite: y = y0 + h01 (y1 - y0) + dt (h10 f0 + h11 f1), with y1 - y0 = dt sum_i b_i k_i.
        h01, h10, h11 = (0.0, 3.0, -2.0), (1.0, -2.0, 1.0), (0.0, -1.0, 1.0)
        weights = self.b if self.fsal else (*self.b, 0.0)
        rows = [[b_i * h for h in h01] for b_i in weights]
        rows[0] = [x + h for x, h in zip(rows[0], h10, strict=True)]
        rows[-1] = [x + h for x, h in zip(rows[-1], h11, strict=True)]
        return tuple(map(tuple, rows))


def _check_sum(what: str, row: Row, expected: float) -> None:
    if not abs(sum(row) - expected) <= _ROUNDING * max([1.0, *map(abs, row)]):  # so that NaN is refused too
        raise CallError(f"{what} sums to {sum(row)!r} and must sum to {expected!r}: a coefficient is mistyped")
