"""Vector-Jacobian products of a function at a point, by autograd; and functions that autograd cannot see through.

torch.autograd finds what a closure holds, tied weights and derivatives that are taken inside the function, none of which
torch.func does. Where torch.autograd.grad cannot be used, within transforms of torch.func and in inference mode,
torch.func's own products stand in for it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

REMEDY = (
    "leave out detach(), .data, torch.no_grad(), .item() and NumPy on the way from y to it, "
    "and take torch.autograd.grad inside it with create_graph=True"
)


class Products(NamedTuple):
    """A function's value and, for each of its inputs x, products (m, *x.shape); None where it does not depend on x."""

    value: Tensor
    rows: tuple[Tensor | None, ...]


def products(function: Callable[..., Tensor], inputs: Sequence[Tensor], rows: Tensor) -> Products:
    """function(*inputs), by one call, and the products of rows (m, *value.shape) with its derivatives.

    Both have a graph where grad mode is on. What the function holds beside its inputs counts as a constant, also where
    it was made of them.
    """
    if in_transform() or torch.is_inference_mode_enabled():
        return _by_torch_func(function, inputs, rows)
    graph = torch.is_grad_enabled()
    leaves = [_own(x if graph else _without_graph(x)) for x in inputs]
    with torch.enable_grad():
        value = function(*leaves)
        found = _pulled_back(value, leaves, rows, graph=graph) if value.requires_grad else (None,) * len(leaves)
    return Products(value if graph else _without_graph(value), found)


def graphed_product(value: Tensor, inputs: Sequence[Tensor], row: Tensor) -> list[Tensor]:
    """The product of one row with the value's derivatives in tensors that it was made of; it has a graph."""
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(value, inputs, row, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if product is None else product for x, product in zip(inputs, found, strict=True)]


def in_transform() -> bool:
    """Whether this is called within a transform of torch.func, such as grad, jvp or vmap."""
    return peek_interpreter_stack() is not None


def _own(x: Tensor) -> Tensor:
    """x as a tensor of its own, which nothing else was made of."""
    x = x.clone() if x.is_inference() else x.view_as(x)
    return x if x.requires_grad else x.requires_grad_()


def _without_graph(x: Tensor) -> Tensor:
    """x detached; unlike by detach() a dual number keeps its tangent, which no_grad leaves alone."""
    primal, tangent = forward_ad.unpack_dual(x)
    return primal.detach() if tangent is None else forward_ad.make_dual(primal.detach(), tangent)


def _pulled_back(value: Tensor, leaves: list[Tensor], rows: Tensor, *, graph: bool) -> tuple[Tensor | None, ...]:
    """All rows at once; one after the other where an operation of the backward pass cannot do that."""
    how = {"create_graph": graph, "retain_graph": True, "allow_unused": True}
    if len(rows) > 1:
        try:
            return torch.autograd.grad(value, leaves, rows, is_grads_batched=True, **how)
        except RuntimeError:
            pass  # what is wrong in itself is so for one row too
    found = zip(*(torch.autograd.grad(value, leaves, row, **how) for row in rows), strict=True)
    return tuple(None if column[0] is None else torch.stack(column) for column in found)


def _by_torch_func(function: Callable[..., Tensor], inputs: Sequence[Tensor], rows: Tensor) -> Products:
    """As `products`; None for all of them or none."""
    tracked: list[bool] = []

    def called(*given: Tensor) -> Tensor:
        value = function(*given)
        tracked.append(value.requires_grad)
        return value

    value, product = torch.func.vjp(called, *inputs)
    if not tracked[0]:
        return Products(value, (None,) * len(inputs))
    return Products(value, torch.func.vmap(product)(rows))


def check_constant(
    function: Callable[[Tensor], Tensor], y: Tensor, *, needs: str, output: str, otherwise: str = ""
) -> None:
    """Refuse a function that has no derivative in y for autograd, but is no constant near y.

    It is called at two points near y: a function that jumps at y, as y > 0 does at zero, is constant beside it.
    needs: what needs the derivative, such as "rodas4 needs df/dy". output: the function's, in words. otherwise: what else
    there is to do.
    """
    with torch.no_grad():
        y = y.detach()
        far = (1 + y.abs()) * 4 * torch.finfo(y.dtype).eps ** 0.5
        far = far * torch.linspace(0.5, 1.0, y.numel(), dtype=far.dtype, device=y.device).view(y.shape)
        one, other = function(y + far), function(y + far / 2)
        moved = (one != other) & one.isfinite() & other.isfinite()
    if bool(moved.any()):
        raise ValueError(f"{needs}, but {output} has no derivative in y, though it changes with y: {REMEDY}{otherwise}")
