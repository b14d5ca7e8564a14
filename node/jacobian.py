"""The vector field's derivatives, and linear systems with its Jacobian.

A complex state is taken as its real and imaginary parts, so that f need not be analytic: in "real coordinates" (..., n)
complex numbers are (..., 2 n) real ones; a real state is unchanged.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from node.derivatives import check_constant, products
from node.errors import CallError
from node.vector_field import RightHandSide, Time


class Linearisation(NamedTuple):
    """f and its derivatives at (t, y), for states y (n,), or with per-sample stepping (B, n)."""

    f: Tensor  # f(t, y), in the shape of y
    dy: Tensor  # df/dy in real coordinates: (n, n), or (B, n, n)
    dt: Tensor  # df/dt, in the shape of y


def linearise(f: RightHandSide, t: Time, y: Tensor, *, solver: str) -> Linearisation:
    """f, df/dy and df/dt at (t, y), by one call of f with y's own shape.

    The n products are taken in one batched backward pass. Samples do not interact, so that one product serves all of
    them. Values that f takes out of t, by `.item()` or `float(t)`, have no derivative here, as under autograd. If f has
    no derivative in y, two more calls check that it is constant; if it is not, it is refused.
    """
    time = f.time(t)
    if isinstance(t, Tensor):
        time = time.view_as(t)
    try:
        # Forward mode takes two to four times as long for a small f, as the overhead of its operations dominates.
        value, (along_t, along_y) = products(f.traced, (time, y), _units(y))
    except RuntimeError as error:
        f(t, y)  # if f itself fails, its own error is raised here
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
    """The products with the derivative in x, for each real coordinate of y or of its samples; zeros for None."""
    return x.new_zeros(real(y).shape[-1], *x.shape) if rows is None else rows


def _units(y: Tensor) -> Tensor:
    """The unit vectors (n, *y.shape) along each real coordinate of y, or of each of its samples."""
    n = real(y).shape[-1]
    units = like(torch.eye(n, dtype=y.dtype.to_real(), device=y.device), y)
    return units.view(n, *(1,) * (y.dim() - 1), -1).expand(n, *y.shape)


class Factors(NamedTuple):
    """LU factors of a matrix (..., n, n) in real coordinates. For a singular matrix solutions are not finite."""

    lu: Tensor
    pivots: Tensor

    def solve(self, b: Tensor) -> Tensor:
        """The solution x of M x = b for states b (..., n)."""
        x = torch.linalg.lu_solve(self.lu, self.pivots, real(b).unsqueeze(-1))
        return like(x.squeeze(-1), b)


def factors(shift: float, dt: Time, jacobian: Tensor) -> Factors:
    """The LU factors of shift I - dt J."""
    scale = dt.unsqueeze(-1) if isinstance(dt, Tensor) else dt
    diagonal = torch.full(jacobian.shape[-1:], shift, dtype=jacobian.dtype, device=jacobian.device)
    lu, pivots, _ = torch.linalg.lu_factor_ex(torch.diag(diagonal) - scale * jacobian)
    return Factors(lu, pivots)


def real(y: Tensor) -> Tensor:
    """The states (..., n) in real coordinates."""
    return torch.view_as_real(y.resolve_conj()).flatten(-2) if y.is_complex() else y


def like(x: Tensor, y: Tensor) -> Tensor:
    """The states, real or complex as y, of real coordinates x."""
    return torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous()) if y.is_complex() else x
