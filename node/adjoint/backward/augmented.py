"""The augmented adjoint equation: the state, its adjoint and the parameters' gradients in one real vector."""

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from node.adjoint.backward.adjoint_field import AdjointField
from node.adjoint.backward.real import entries, like, real
from node.derivatives import dense_or_zero, graphed_product
from node.layout import State, TupleLayout
from node.user_field import UserField
from node.vector_field import Time, VectorField


class AugmentedState(NamedTuple):
    """The adjoint equation's state at one time, as flat vectors."""

    y: Tensor  # (n,), the state of the forward solve
    a: Tensor  # (n,), dL/dy
    g: Tensor  # dL/dp so far, concatenated over the parameters; complex ones as pairs of real numbers


@final
class AugmentedField(AdjointField):
    """d/dt (y, a, g) = (f, -a df/dy, -a df/dp): one call of f and one vector-Jacobian product.

    The vector is real, twice as long for a complex state: the gradient to a complex number is the pair of gradients to
    its two parts, and so every solver can be used, also one for real numbers only.
    """

    def __init__(self, f: VectorField[Any], y0: State, parameters: Sequence[Tensor]) -> None:
        field = UserField.of(f, y0)
        y = field.layout.flatten(y0).detach()
        super().__init__(field, y, AugmentedLayout((y, y, *parameters)), parameters)
        self._n_parameters = sum(real(p).numel() for p in parameters)
        self._sizes = (self._n, self._n, self._n_parameters)
        dtypes = {part.dtype for part in (y, *parameters)}
        self._uniform = dtypes == {self.layout.dtype} and not y.is_complex()  # no part needs a conversion

    def __call__(self, t: Time, z: Tensor) -> Tensor:
        """dz/dt of the vector z = (y, a, g)."""
        y, a, _ = z.split_with_sizes(self._sizes)
        a = self.cotangent(t, a)
        if not self._uniform:
            y, a = like(y, self._like), like(a, self._like)
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            dy = self.field(t, y)
            if not dy.requires_grad:  # f depends neither on y nor on a parameter
                return torch.cat((entries(dy, z.dtype), z.new_zeros(len(z) - self._n)))
            products = torch.autograd.grad(dy, (y, *self.parameters), a, allow_unused=True)
        self.vjps += any(product is not None for product in products)
        if any(product is None or product.is_sparse for product in products):
            products = tuple(map(dense_or_zero, products, (y, *self.parameters)))
        if self._uniform:
            return torch.cat([dy.detach(), *[product.reshape(-1) for product in products]])
        return torch.cat([entries(x, z.dtype) for x in (dy.detach(), *products)])

    def traced(self, t: Time, z: Tensor) -> Tensor:
        """dz/dt with a graph through the product; the products of the Jacobian, taken together, count as one more."""
        self.vjps += 2
        y, a, _ = z.split_with_sizes(self._sizes)
        y, a = like(y, self._like), like(self.cotangent(t, a), self._like)
        dy = self.field(t, y)
        return torch.cat([entries(x, z.dtype) for x in (dy, *graphed_product(dy, (y, *self.parameters), a))])

    def join(self, y: Tensor, a: Tensor, g: Tensor | None = None) -> Tensor:
        """The vector of flat y, flat a and g; g is zero by default."""
        dtype = self.layout.dtype
        if g is None:
            g = torch.zeros(self._n_parameters, dtype=dtype, device=y.device)
        return torch.cat([entries(y, dtype), entries(a, dtype), entries(g, dtype)])

    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The vector z after a jump of a, given in real coordinates, and with flat y in place of its own y."""
        z = z.clone()
        own, a, _ = z.split_with_sizes(self._sizes)
        a += jump
        own.copy_(entries(y, z.dtype))
        return z

    def tolerance(self, of_state: Tensor) -> Tensor:
        """The tolerance of each entry of z from the tolerances of y: a has the same, g the smallest of them."""
        of_y = torch.complex(of_state, of_state) if self._like.is_complex() else of_state
        return self.join(of_y, of_y, of_state.min().expand(self._n_parameters))

    def split(self, z: Tensor) -> AugmentedState:
        """The parts y, a and g of a vector."""
        y, a, g = z.split_with_sizes(self._sizes)
        return AugmentedState(y, a, g) if self._uniform else AugmentedState(like(y, self._like), like(a, self._like), g)


class AugmentedLayout(TupleLayout):
    """A tuple (y, a, *dL/dp) of real or complex tensors, in a real vector."""

    def __init__(self, parts: tuple[Tensor, ...]) -> None:
        super().__init__(tuple(map(real, parts)))
        self._like = parts

    def restore(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The parts of the vector, each in its original shape and dtype."""
        return tuple(like(part, template) for part, template in zip(super().restore(flat), self._like, strict=True))
