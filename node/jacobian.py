"""The vector field's derivatives, and linear systems with them.

A complex state counts as its real and imaginary parts, so that f need not be analytic: in "real coordinates" (..., n)
complex numbers are (..., 2 n) real ones, and a real state is itself.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from node.derivatives import check_constant, products
from node.errors import CallError
from node.vector_field import RightHandSide, Time


class Linearisation(NamedTuple):
    """f near (t, y), for states y (n,), or with per-sample stepping (B, n)."""

    f: Tensor  # f(t, y), as y
    dy: Tensor  # df/dy in real coordinates: (n, n), or (B, n, n)
    dt: Tensor  # df/dt, as y


def linearise(f: RightHandSide, t: Time, y: Tensor, *, solver: str) -> Linearisation:
    """f, df/dy and df/dt at (t, y), by one call of f with y's own shape.

    The n products come back through it at once. Samples do not see each other, so that one product serves them all.
    What f takes out of t, by `.item()` or `float(t)`, has no derivative here, as under autograd. An f that changes
    with y without a derivative is refused; to know a constant one from it takes two more calls.
    """
    time = f.time(t)
    if isinstance(t, Tensor):
        time = time.view_as(t)
    try:
        # Forward mode takes two to four times as long where f is small: each of its operations then counts.
        value, (along_t, along_y) = products(f.traced, (time, y), _units(y))
    except RuntimeError as error:
        f(t, y)  # an f that fails in itself says so itself
        reason = str(error).partition("\n")[0]
        raise CallError(
            f"{solver} needs df/dy, and torch cannot differentiate this vector field ({reason}): "
            "write f in plain torch operations, or take an explicit solver, such as 'dopri5'"
        ) from error
    if along_y is None:
        check_constant(
            lambda near: f(t, near),
            (y,),
            needs=f"{solver} needs df/dy",
            output="the vector field's output",
            otherwise=", or take an explicit solver, such as 'dopri5'",
        )
    along_y, along_t = _zero_if_none(along_y, y, y), _zero_if_none(along_t, y, time)
    rises = along_t.reshape(real(along_y).shape[:-1]).movedim(0, -1)
    return Linearisation(f.counted(value), real(along_y).movedim(0, -2), like(rises, y))


def _zero_if_none(rows: Tensor | None, y: Tensor, x: Tensor) -> Tensor:
    """The products with the derivative in x, for each real coordinate of y or of its samples."""
    return x.new_zeros(real(y).shape[-1], *x.shape) if rows is None else rows


def _units(y: Tensor) -> Tensor:
    """For each real coordinate of y, or of each of its samples, the unit along it: (n, *y.shape)."""
    n = real(y).shape[-1]
    units = like(torch.eye(n, dtype=y.dtype.to_real(), device=y.device), y)
    return units.view(n, *(1,) * (y.dim() - 1), -1).expand(n, *y.shape)


class Factors(NamedTuple):
    """Factors of a matrix (..., n, n) in real coordinates. A singular one has solutions that are not finite."""

    lu: Tensor
    pivots: Tensor

    def solve(self, b: Tensor) -> Tensor:
        """x with M x = b, for states b (..., n)."""
        x = torch.linalg.lu_solve(self.lu, self.pivots, real(b).unsqueeze(-1))
        return like(x.squeeze(-1), b)


def factors(shift: float, dt: Time, jacobian: Tensor) -> Factors:
    """The factors of shift I - dt J."""
    scale = dt.unsqueeze(-1) if isinstance(dt, Tensor) else dt
    diagonal = torch.full(jacobian.shape[-1:], shift, dtype=jacobian.dtype, device=jacobian.device)
    lu, pivots, _ = torch.linalg.lu_factor_ex(torch.diag(diagonal) - scale * jacobian)
    return Factors(lu, pivots)


def real(y: Tensor) -> Tensor:
    """States (..., n) in real coordinates."""
    return torch.view_as_real(y.resolve_conj()).flatten(-2) if y.is_complex() else y


def like(x: Tensor, y: Tensor) -> Tensor:
    """Real coordinates x as states of y's kind."""
    return torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous()) if y.is_complex() else x
