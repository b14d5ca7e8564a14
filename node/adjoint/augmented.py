"""The adjoint equation: the state, its adjoint and the parameters' gradients in one real vector."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp

from node.layout import State, TupleLayout, layout_of
from node.vector_field import FlatField, Time, VectorField


class AugmentedState(NamedTuple):
    """The adjoint equation's state at one time, as flat vectors."""

    y: Tensor  # (n,), the forward solve's
    a: Tensor  # (n,), dL/dy
    g: Tensor  # dL/dp so far, of all parameters one after the other; complex ones as pairs of real numbers


class AugmentedField(FlatField):
    """d/dt (y, a, g) = (f, -a df/dy, -a df/dp): one call of f and one vector-Jacobian product.

    Everything is real, a complex state twice as long: the gradient to a complex number is that to its two parts, and
    a solver that takes real numbers only takes these.
    """

    def __init__(self, f: VectorField[Any], y0: State, parameters: Sequence[Tensor]):
        super().__init__(f, layout_of(y0))
        self.vjps = 0
        self._state = self.layout
        self._parameters = parameters
        y = self._state.flatten(y0).detach()
        self._flat_state = y
        self._shape = _real(y).shape
        self._n = self._shape.numel()
        self._n_parameters = sum(_real(p).numel() for p in parameters)
        self.layout = AugmentedLayout((y, y, *parameters))

    def __call__(self, t: Time, z: Tensor) -> Tensor:
        """d/dt of the vector z."""
        self.calls += 1
        y, a, _ = self.split(z)
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            dy = self._state.flatten(self.f(self.time(t), self._state.restore(y)))
            if not dy.requires_grad:  # f depends neither on y nor on a parameter
                return torch.cat([_entries(dy, z.dtype), z.new_zeros(len(z) - self._n)])
            self.vjps += 1
            products = torch.autograd.grad(dy, (y, *self._parameters), -a, allow_unused=True)
        rates = [
            z.new_zeros(_real(x).numel()) if product is None else _entries(product, z.dtype)
            for x, product in zip((y, *self._parameters), products, strict=True)
        ]
        return torch.cat([_entries(dy.detach(), z.dtype), *rates])

    def traced(self, t: Time, z: Tensor) -> Tensor:
        """As a call, for torch.func, which sees a module's parameters only where they are handed to it."""
        self.calls += 1
        self.vjps += 1
        y, a, _ = self.split(z)
        dy, product, *_ = vjp(self._slope_of(t), y, *self._parameters)
        return torch.cat([_entries(x, z.dtype) for x in (dy, *product(-a))])

    def _slope_of(self, t: Time) -> Callable[..., Tensor]:
        """f(t, y), flat, as a function of y and the parameters."""
        f, state, time = self.f, self._state, self.time(t)
        if not self._parameters:
            return lambda y: state.flatten(f(time, state.restore(y)))
        names: dict[Tensor, str] = {}
        if isinstance(f, nn.Module):
            names.update((p, name) for name, p in f.named_parameters())
        if not names.keys() >= set(self._parameters):
            raise ValueError(
                "a solver that needs df/dy finds the parameters of an nn.Module only: pass one, or take an explicit "
                "solver for the backward pass, gradient=ContinuousAdjoint(solver=SOLVERS['dopri5'])"
            )

        def slope(y: Tensor, *parameters: Tensor) -> Tensor:
            handed = {names[p]: x for p, x in zip(self._parameters, parameters, strict=True)}
            return state.flatten(functional_call(cast(nn.Module, f), handed, (time, state.restore(y))))

        return slope

    def join(self, y: Tensor, a: Tensor, g: Tensor | None = None) -> Tensor:
        """The vector of flat y, flat a and g, by default zero."""
        dtype = self.layout.dtype
        if g is None:
            g = torch.zeros(self._n_parameters, dtype=dtype, device=y.device)
        return torch.cat([_entries(y, dtype), _entries(a, dtype), _entries(g, dtype)])

    def tolerance(self, of_state: Tensor) -> Tensor:
        """A tolerance for each entry from those of y's: a has the same, g the least of them."""
        of_y = torch.complex(of_state, of_state) if self._flat_state.is_complex() else of_state
        return self.join(of_y, of_y, of_state.min().expand(self._n_parameters))

    def split(self, z: Tensor) -> AugmentedState:
        """The parts of a vector."""
        n = self._n
        y, a = (_as(z[i : i + n].view(self._shape), self._flat_state) for i in (0, n))
        return AugmentedState(y, a, z[2 * n :])


class AugmentedLayout(TupleLayout):
    """A tuple (y, a, *dL/dp) of real or complex tensors, in a real vector."""

    def __init__(self, parts: tuple[Tensor, ...]):
        super().__init__(tuple(map(_real, parts)))
        self._like = parts

    def restore(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The vector's parts, each in the shape and dtype of its own."""
        return tuple(_as(part, like) for part, like in zip(super().restore(flat), self._like, strict=True))


def _real(x: Tensor) -> Tensor:
    """A complex number as a pair, not by a view: its derivative fails on the strides that vmap makes."""
    return torch.stack((x.real, x.imag), dim=-1) if x.is_complex() else x


def _entries(x: Tensor, dtype: torch.dtype) -> Tensor:
    return _real(x).reshape(-1).to(dtype)


def _as(real: Tensor, like: Tensor) -> Tensor:
    x = real.to(like.dtype.to_real())
    return torch.complex(*x.unbind(-1)) if like.is_complex() else x
