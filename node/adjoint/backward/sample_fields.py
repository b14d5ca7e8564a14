"""The adjoint equations with per-sample steps: the adjoint of each sample is a row."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.adjoint_field import AdjointField
from node.adjoint.backward.along_path import add_products
from node.adjoint.backward.quadrature import gauss_legendre
from node.adjoint.base import InitialValueProblem
from node.controller import Norm
from node.derivatives import graphed_product
from node.errors import CallTypeError
from node.jacobian import like, real
from node.layout import Layout, layout_of
from node.observer import Observer
from node.per_sample.clock import Bools
from node.per_sample.columns import column, mask
from node.per_sample.nan_substitute import NanSubstitute
from node.per_sample.path import SamplePath, SamplePiece
from node.user_field import UserField
from node.vector_field import Time


class SampleAdjointField(AdjointField):
    """An adjoint equation of rows of real numbers (B, m).

    For a sample that has nothing to solve f is called at another sample's time and state, as its own may not be finite.
    """

    def __init__(
        self, field: UserField, like: Tensor, layout: Layout, parameters: Sequence[Tensor], moving: Bools
    ) -> None:
        super().__init__(field, like, layout, parameters)
        self.rest = NanSubstitute.where_needed(moving)

    @abstractmethod
    def placed(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The times (B, 1) and states (B, n) at which f is called, and the adjoints (B, n), for rows z."""

    @abstractmethod
    def rows(self, dy: Tensor, product: Tensor) -> Tensor:
        """The rows dz/dt, from f and -a df/dy."""

    @abstractmethod
    def joined(self, y: Tensor, a: Tensor) -> Tensor:
        """The rows of states and adjoints."""

    def __call__(self, t: Time, z: Tensor) -> Tensor:
        """The slopes dz/dt of the rows."""
        with torch.enable_grad():
            t, y, a = self.placed(_times(t), z)
            y = y.detach().requires_grad_()
            dy = self.field(t, y)
            product = None
            if dy.requires_grad:
                (product,) = torch.autograd.grad(dy, y, -a, allow_unused=True)
        if product is None:  # f depends on no state
            return self.rows(dy.detach(), torch.zeros_like(y))
        self.vjps += 1
        return self.rows(dy.detach(), product)

    def traced(self, t: Time, z: Tensor) -> Tensor:
        """dz/dt with a graph through the product; the products of the Jacobian, taken together, count as one more."""
        self.vjps += 2
        t, y, a = self.placed(_times(t), z)
        dy = self.field(t, y)
        return self.rows(dy, *graphed_product(dy, (y,), -a))

    def slope(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """f with a graph to the parameters, and the adjoints, for rows z."""
        t, y, a = self.placed(t, z)
        with torch.enable_grad():
            return self.field(t, y.detach()), a

    def norm(self, of_state: Norm) -> Norm:
        """The norm of each sample's row, from the norm of states."""
        return lambda z: of_state(like(z, self._like))

    def tolerance(self, of_state: Tensor) -> Tensor:
        """The tolerance of each entry of a row, from the tolerances of the state."""
        return real(torch.complex(of_state, of_state)) if self._like.is_complex() else of_state

    def filled(self, x: Tensor) -> Tensor:
        """The rows x, with another sample's row for each sample that has nothing to solve."""
        return x if self.rest is None else self.rest.fill(x)


@final
class SamplesAlongPath(SampleAdjointField):
    """a' = -a df/dy(t, y(t)): one call of f and one vector-Jacobian product for all samples."""

    def __init__(
        self, problem: InitialValueProblem, parameters: Sequence[Tensor], moving: Bools, path: SamplePath
    ) -> None:
        field, like = _field_and_state(problem)
        super().__init__(field, like, layout_of(real(like), samples=True), parameters, moving)
        self._path = path

    def placed(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The times, states and adjoints for rows z, with y(t) from the path."""
        t = self.filled(t)
        return t, self.filled(self._path.at(t.to(torch.float64)).squeeze(1)), like(z, self._like)

    @override
    def rows(self, dy: Tensor, product: Tensor) -> Tensor:
        """The slopes of the adjoints alone."""
        return real(product)

    @override
    def joined(self, y: Tensor, a: Tensor) -> Tensor:
        """The rows of adjoints alone."""
        return real(a)

    @override
    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The adjoints after their jumps."""
        return z + jump


@final
class AugmentedSamples(SampleAdjointField):
    """d/dt (y, a) = (f, -a df/dy), in one row: one call of f and one vector-Jacobian product for all samples."""

    def __init__(self, problem: InitialValueProblem, parameters: Sequence[Tensor], moving: Bools) -> None:
        field, like = _field_and_state(problem)
        super().__init__(field, like, layout_of((real(like), real(like)), samples=True), parameters, moving)

    def placed(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The times, states and adjoints for rows z, with y(t) from the rows."""
        y, a = (like(half, self._like) for half in z.chunk(2, dim=-1))
        return self.filled(t), self.filled(y), a

    def rows(self, dy: Tensor, product: Tensor) -> Tensor:
        """The slopes of states and adjoints."""
        return self.joined(dy, product)

    def joined(self, y: Tensor, a: Tensor) -> Tensor:
        """The rows of states and adjoints."""
        return torch.cat((real(y), real(a)), dim=-1)

    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The adjoints after their jumps, with the states of the forward pass."""
        return torch.cat((real(y), z.chunk(2, dim=-1)[1] + jump), dim=-1)

    def norm(self, of_state: Norm) -> Norm:
        """The larger norm of state and adjoint."""
        of_half = super().norm(of_state)
        return lambda z: torch.maximum(*[torch.as_tensor(of_half(half)) for half in z.chunk(2, dim=-1)])

    def tolerance(self, of_state: Tensor) -> Tensor:
        """The state's tolerance, for the adjoint too."""
        of_half = super().tolerance(of_state)
        return torch.cat((of_half, of_half), dim=-1)


class SampleParameterIntegral(Observer[SamplePiece]):
    """dL/dp = the sum over samples of int a df/dp dt, over each sample's accepted steps of a backward solve.

    size: (B, 1), the factors of the adjoints.
    """

    asks_dense = True

    def __init__(self, equation: SampleAdjointField, nodes: int, size: Tensor) -> None:
        self.sums = [torch.zeros_like(p) for p in equation.parameters]
        self._equation = equation
        self._nodes = gauss_legendre(nodes)
        self._size = size

    def dense(self, piece: SamplePiece) -> None:
        """Add the integral over one try, with the products of all nodes and samples in one backward pass."""
        equation, moved, dt = self._equation, mask(piece.moved, piece.y), piece.t1 - piece.t
        slopes, cotangents = [], []
        for node in self._nodes:
            z = piece.at(torch.full_like(self._size, node.x)).where(moved, piece.y)
            slope, a = equation.slope(column(piece.t + node.x * dt, z), z)
            if slope.requires_grad:
                slopes.append(slope)
                cotangents.append(a * (-self._size * column(node.weight * dt, z)))
        add_products(equation, equation.parameters, self.sums, slopes, cotangents)


def _field_and_state(problem: InitialValueProblem) -> tuple[UserField, Tensor]:
    """The user's field, and a flat state."""
    field = UserField.of(problem.f, problem.y0, samples=True)
    return field, field.layout.flatten(problem.y0).detach()


def _times(t: Time) -> Tensor:
    """The column of times t; a CallTypeError for a float."""
    if not isinstance(t, Tensor):
        raise CallTypeError("samples that have their own steps have a column of times")
    return t
