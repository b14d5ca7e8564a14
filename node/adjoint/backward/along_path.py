"""The adjoint equation along a known solution y(t), and the parameters' gradient as an integral over it."""

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.adjoint_field import AdjointField
from node.adjoint.backward.path import Path
from node.adjoint.backward.quadrature import gauss_legendre
from node.adjoint.backward.real import entries, like, real
from node.controller import Norm
from node.dense import DensePiece
from node.derivatives import graphed_product
from node.layout import State, layout_of
from node.observer import Observer
from node.user_field import UserField
from node.vector_field import Time, VectorField


@final
class AdjointAlongPath(AdjointField):
    """a' = -a df/dy(t, y(t)) for flat real vectors a: one call of f and one vector-Jacobian product."""

    def __init__(self, f: VectorField[Any], y0: State, parameters: Sequence[Tensor], path: Path) -> None:
        field = UserField.of(f, y0)
        like = field.layout.flatten(y0).detach()
        super().__init__(field, like, layout_of(like), parameters)
        self._path = path
        self._dtype = like.dtype.to_real()
        self._is_real = not self._like.is_complex()

    def __call__(self, t: Time, a: Tensor) -> Tensor:
        """The slope da/dt of the adjoint."""
        with torch.enable_grad():
            y = self._path.at(t).detach().requires_grad_()
            dy = self.field(t, y)
            if not dy.requires_grad:
                return torch.zeros_like(a)
            (product,) = torch.autograd.grad(dy, y, self.split(self.cotangent(t, a)), allow_unused=True)
        if product is None:  # f depends on a parameter alone
            return torch.zeros_like(a)
        self.vjps += 1
        return product if self._is_real else self.join(product)

    def traced(self, t: Time, a: Tensor) -> Tensor:
        """da/dt with a graph through the product; its derivative in t includes that of y(t)."""
        self.vjps += 1
        y = self._path.at(t)
        return self.join(*graphed_product(self.field(t, y), (y,), self.split(self.cotangent(t, a))))

    def slope(self, t: float) -> Tensor:
        """f(t, y(t)) with a graph to the parameters."""
        with torch.enable_grad():
            return self.field(t, self._path.at(t))

    def join(self, a: Tensor) -> Tensor:
        """The real vector of a flat adjoint a."""
        return entries(a, self._dtype)

    def split(self, vector: Tensor) -> Tensor:
        """The flat adjoint a of a real vector."""
        return vector if self._is_real else like(vector, self._like)

    @override
    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The adjoint after a jump; y is not needed, as it comes from the path."""
        return z + jump

    def norm(self, of_state: Norm) -> Norm:
        """The norm of real vectors from the norm of states."""
        return of_state if self._is_real else lambda vector: of_state(self.split(vector))

    def tolerance(self, of_state: Tensor) -> Tensor:
        """The tolerance of each entry of the real vector from the tolerances of the state."""
        return of_state if self._is_real else real(torch.complex(of_state, of_state)).reshape(-1)


class ParameterIntegral(Observer[DensePiece]):
    """dL/dp = int a df/dp dt, summed over the steps of a backward solve as they are accepted.

    a is the dense output of each step, with the jumps that are spread over the step.
    """

    asks_dense = True

    def __init__(self, equation: AdjointAlongPath, nodes: int) -> None:
        self.sums = [torch.zeros_like(p) for p in equation.parameters]
        self._equation = equation
        self._nodes = gauss_legendre(nodes)

    def dense(self, piece: DensePiece) -> None:
        """Add the integral over one step of the backward solve, with the products of all nodes in one backward pass."""
        equation = self._equation
        times = [piece.t + node.x * piece.dt for node in self._nodes]
        slopes, cotangents = [], []
        for t, b, node in zip(times, piece.at(times), self._nodes, strict=True):
            slope = equation.slope(t)
            if slope.requires_grad:
                slopes.append(slope)
                cotangents.append(equation.split(equation.cotangent(t, b)) * (node.weight * piece.dt))
        add_products(equation, equation.parameters, self.sums, slopes, cotangents)


def add_products(
    equation: AdjointField,
    parameters: Sequence[Tensor],
    sums: Sequence[Tensor],
    slopes: Sequence[Tensor],
    cotangents: Sequence[Tensor],
) -> None:
    """Add to each sum the vector-Jacobian products of the slopes with the cotangents, in one backward pass."""
    if not slopes:
        return
    products = torch.autograd.grad(slopes, parameters, cotangents, allow_unused=True)
    if any(product is not None for product in products):
        equation.vjps += len(slopes)
    for total, product in zip(sums, products, strict=True):
        if product is not None:
            total += product
