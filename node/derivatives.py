"""Vector-Jacobian products of a function at a point, by autograd; and functions that autograd cannot see through.

torch.autograd finds what a closure holds, tied weights and derivatives that are taken inside the function; torch.func
finds none of these. Where torch.autograd.grad cannot be used, within transforms of torch.func and in inference mode,
torch.func's own products stand in for it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.graph import Node, get_gradient_edge

from node.errors import CallError
from node.graph_function import GraphFunction
from node.layout import State
from node.torch_private import has_saved_tensors_hooks, in_dual_level, in_transform

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

    Both have a graph where grad mode is on and an input, or what the function holds, requires grad. The latter counts
    as a constant, also where it was made of the inputs.
    """
    if in_transform() or torch.is_inference_mode_enabled():
        return _by_torch_func(function, inputs, rows)
    enabled = torch.is_grad_enabled()
    graph = enabled and any(x.requires_grad for x in inputs)
    own = _Together.apply(*inputs) if graph else tuple(map(_leaf, inputs))
    with torch.enable_grad():
        value = function(*own)
        graph = graph or (enabled and bool(leaves_behind(value, excluding=own)))
        found = pulled_back((value,), own, (rows,), graph=graph) if value.requires_grad else (None,) * len(own)
    return Products(value if graph else without_graph(value), found)


def graphed_product(value: Tensor, inputs: Sequence[Tensor], row: Tensor) -> list[Tensor]:
    """The product of one row with the value's derivatives in tensors that it was made of; it has a graph."""
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(value, inputs, row, create_graph=True, allow_unused=True)
    return list(map(dense_or_zero, found, inputs))


def dense_or_zero(product: Tensor | None, x: Tensor) -> Tensor:
    """A product with the derivative in x, as a dense tensor: nn.Embedding(sparse=True) gives sparse ones."""
    if product is None:
        return torch.zeros_like(x)
    return product.to_dense() if product.is_sparse else product


def differentiates(*values: object) -> bool:
    """Whether derivatives are taken of what is made of these: one of them has a graph, or a transform may see to it."""
    return in_transform() or in_dual_level() or any(isinstance(x, Tensor) and x.requires_grad for x in values)


class _Together(GraphFunction):
    """Tensors as they are, of one node of the graph, which is newer than all that they were made of.

    A search for derivatives in them ends there. In an input that is older than others, as times are, it would go on
    through all that the others were made of: in a solve, through all steps so far.
    """

    @staticmethod
    def forward(_ctx: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(map(torch.clone, inputs))

    @staticmethod
    def backward(_ctx: Any, *products: Tensor) -> tuple[Tensor, ...]:
        return products

    @staticmethod
    def jvp(_ctx: Any, *tangents: Tensor) -> tuple[Tensor, ...]:
        return tangents


def _leaf(x: Tensor) -> Tensor:
    """x as a tensor of its own, which nothing was made of yet."""
    x = without_graph(x)
    x = x.clone() if x.is_inference() else x.view_as(x)
    return x.requires_grad_()


def without_graph(x: Tensor) -> Tensor:
    """x detached; unlike by detach() a dual number keeps its tangent, which no_grad leaves alone."""
    primal, tangent = forward_ad.unpack_dual(x)
    detached: Tensor = primal.detach() if tangent is None else forward_ad.make_dual(primal.detach(), tangent)
    return detached


def pulled_back(
    values: Sequence[Tensor], inputs: Sequence[Tensor], rows: Sequence[Tensor], *, graph: bool
) -> tuple[Tensor | None, ...]:
    """For each input x the products (m, *x.shape) of rows (m, *value.shape), given for each value; None for no graph.

    All rows at once; one after the other where an operation of the backward pass cannot do that, and where torch looks
    for anomalies, which cannot either.
    """
    how = {"create_graph": graph, "retain_graph": True, "allow_unused": True}
    unused: list[bool] = []

    def of_row(*row: Tensor) -> tuple[Tensor, ...]:
        found = torch.autograd.grad(values, inputs, row, **how)
        unused[:] = [product is None for product in found]
        return tuple(product for product in found if product is not None)

    if len(rows[0]) > 1 and not torch.is_anomaly_enabled():
        try:
            if has_saved_tensors_hooks():  # as in a checkpointed part of a program, which torch.vmap refuses
                return torch.autograd.grad(values, inputs, rows, is_grads_batched=True, **how)
            # The same, but that its older vmap takes many operations, tanh's for one, row by row.
            used = iter(torch.vmap(of_row)(*rows))
            return tuple(None if none else next(used) for none in unused)
        except RuntimeError:
            pass  # what is wrong in itself is so for one row too
    found = zip(*(torch.autograd.grad(values, inputs, row, **how) for row in zip(*rows, strict=True)), strict=True)
    return tuple(None if column[0] is None else torch.stack(column) for column in found)


def _by_torch_func(function: Callable[..., Tensor], inputs: Sequence[Tensor], rows: Tensor) -> Products:
    """The outcome of `products`, by torch.func; None for all inputs or for none."""
    tracked: list[bool] = []

    def called(*given: Tensor) -> Tensor:
        value = function(*given)
        tracked.append(value.requires_grad)
        return value

    value, product = torch.func.vjp(called, *inputs)[:2]
    if not tracked[0]:
        return Products(value, (None,) * len(inputs))
    return Products(value, torch.func.vmap(product)(rows))


def check_derivative(f: Callable[[Tensor, Any], Any], t: Tensor, y: State, dy: State) -> None:
    """Refuse an f of whose dy a part changes with y, though autograd knows no derivative of it in y.

    dy: f(t, y), by a call in grad mode where y, or each of its parts, required grad. Where all parts of dy hang on y
    nothing is called; else f is called twice near y.
    """
    inputs = y if isinstance(y, tuple) else (y,)
    for i, part in enumerate(dy if isinstance(dy, tuple) else (dy,)):
        if depends_on(part, inputs):
            continue

        def of_part(*near: Tensor, i: int = i) -> Tensor:
            found = f(t, near if isinstance(y, tuple) else near[0])
            part: Tensor = found[i] if isinstance(found, tuple) else found
            return part

        check_constant(of_part, inputs, needs="the gradient of a solve needs df/dy", output="the vector field's output")


def depends_on(value: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether the graph of a value leads to one of the inputs, which require grad."""
    ends = {get_gradient_edge(x).node for x in inputs}
    rest: list[Node | None] = [value.grad_fn]
    seen: set[Node] = set()
    while rest:
        node = rest.pop()
        if node is None or node in seen:
            continue
        if node in ends:
            return True
        seen.add(node)
        rest += [function for function, _ in node.next_functions]
    return any(value is x for x in inputs)


def leaves_behind(x: Tensor, *, excluding: Sequence[Tensor] = ()) -> list[Tensor]:
    """The leaves that x was computed from, otherwise than by way of some tensors."""
    if x.grad_fn is None:
        return [x] if x.requires_grad and all(x is not y for y in excluding) else []
    seen: set[Any] = {y.grad_fn for y in excluding}
    rest: list[Any] = [x.grad_fn]
    found: list[Tensor] = []
    while rest:
        node = rest.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        rest += [following for following, _ in node.next_functions]
    return [leaf for leaf in found if all(leaf is not y for y in excluding)]


def check_constant(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], *, needs: str, output: str, otherwise: str = ""
) -> None:
    """Refuse a function that has no derivative in its inputs, of the state y, but is no constant near them.

    It is called at two points near y: a function that jumps at y, as y > 0 does at zero, is constant beside it.
    needs: what needs the derivative, such as "rodas4 needs df/dy". output: the function's, in words.
    otherwise: what else there is to do.
    """
    with torch.no_grad():
        one, other = function(*(_near(x, 1.0) for x in inputs)), function(*(_near(x, 0.5) for x in inputs))
        moved = (one != other) & one.isfinite() & other.isfinite()
    if bool(moved.any()):
        raise CallError(f"{needs}, but {output} has no derivative in y, though it changes with y: {REMEDY}{otherwise}")


def _near(x: Tensor, share: float) -> Tensor:
    """x moved by a share of a small distance, of each entry another one, so that they do not cancel."""
    x = x.detach()
    far = 4 * torch.finfo(x.dtype).eps ** 0.5 * share * (1 + x.abs())
    far = far * torch.linspace(0.5, 1.0, x.numel(), dtype=far.dtype, device=x.device).view(x.shape)
    return x + (torch.complex(far, far) if x.is_complex() else far)
