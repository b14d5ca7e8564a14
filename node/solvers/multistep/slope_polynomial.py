"""The polynomial through slopes at several times, and its integral, which a multistep method adds to y."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from node.constants import made_once
from node.vector_field import Time

Number = TypeVar("Number", Fraction, float, Tensor)
Nodes = tuple[Any, ...]  # floats; with per-sample stepping columns (B, 1)


def basis_integrals(nodes: Sequence[Number], one: Number) -> list[list[Number]]:
    """The integrals int_0^theta l_j of the Lagrange basis: row j has the coefficients of theta, theta^2, ..."""
    zero = one - one
    rows: list[list[Number]] = []
    for j, node in enumerate(nodes):
        basis: list[Any] = [one]  # coefficients of 1, s, s^2, ...
        for i, other in enumerate(nodes):
            if i != j:
                raised, kept = [zero, *basis], [*basis, zero]
                basis = [(high - other * low) / (node - other) for high, low in zip(raised, kept, strict=True)]
        rows.append([coefficient / power for power, coefficient in enumerate(basis, start=1)])
    return rows


class SlopePolynomial(NamedTuple):
    """The polynomial p with p(theta_j) = f_j at the nodes theta_j = (t_j - t) / dt of a step from t to t + dt."""

    nodes: Nodes
    slopes: tuple[Tensor, ...]

    def advance(self, y: Tensor, dt: Time) -> Tensor:
        """y + dt int_0^1 p."""
        whole, slopes = self._weights().whole, torch.stack(self.slopes)
        if isinstance(dt, Tensor):
            return torch.addcmul(y, (whole * slopes).sum(0), dt)
        return torch.addmv(y, slopes.t(), whole, alpha=dt)

    def dense(self, dt: Time) -> Tensor:
        """The coefficients (degree, *y.shape) of theta, theta^2, ... in dt int_0^theta p."""
        powers, slopes = self._weights().powers, torch.stack(self.slopes)
        if isinstance(dt, Tensor):
            return (powers * slopes).sum(1) * dt
        return powers @ slopes * dt

    def _weights(self) -> "_Weights":
        if isinstance(self.nodes[0], Tensor):
            return _column_weights(self.nodes)
        return _float_weights(self.nodes, self.slopes[0].dtype, self.slopes[0].device)


class _Weights(NamedTuple):
    whole: Tensor  # (k,), of the k slopes; with columns for nodes (k, B, 1)
    powers: Tensor  # (degree, k) or (degree, k, B, 1)


def _column_weights(nodes: tuple[Tensor, ...]) -> _Weights:
    rows = torch.stack([torch.stack(row) for row in basis_integrals(nodes, torch.ones_like(nodes[0]))], dim=1)
    return _Weights(rows.sum(0), rows)


@made_once(1024)
def _float_weights(nodes: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> _Weights:
    """The weights for nodes that are floats, cached: once for a uniform grid, and once for each step of other grids."""
    rows: Sequence[Sequence[Fraction | float]]
    if all(map(float.is_integer, nodes)):
        rows = basis_integrals([Fraction(node) for node in nodes], Fraction(1))
    else:
        rows = basis_integrals(nodes, 1.0)
    whole = [float(sum(row)) for row in rows]
    powers = [[float(row[power]) for row in rows] for power in range(len(nodes))]
    return _Weights(torch.tensor(whole, dtype=dtype, device=device), torch.tensor(powers, dtype=dtype, device=device))
