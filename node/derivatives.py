"""Vector-Jacobian products of a function at a point by autograd, and checks that autograd sees all dependences.

torch.autograd finds tensors in a closure, tied weights and derivatives that are taken inside the function; torch.func
finds none of these. Where torch.autograd.grad cannot be used, within transforms of torch.func and in inference mode,
torch.func's own products are used instead.
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
    """A function's value and, for each input x, products (m, *x.shape), or None if the value does not depend on x."""

    value: Tensor
    rows: tuple[Tensor | None, ...]


def products(function: Callable[..., Tensor], inputs: Sequence[Tensor], rows: Tensor) -> Products:
    """The value of function(*inputs), by one call, and the products of rows (m, *value.shape) with its derivatives.

    Both have a graph where grad mode is on and an input, or a tensor in the function's closure, requires grad. In the
    products tensors of the closure count as constants, also if they were computed from the inputs.
    """
    if in_transform() or torch.is_inference_mode_enabled():
        return _by_torch_func(function, inputs, rows)
    enabled = torch.is_grad_enabled()
    graph = enabled and any(x.requires_grad for x in inputs)
    own = _SharedNode.apply(*inputs) if graph else tuple(map(_leaf, inputs))
    with torch.enable_grad():
        value = function(*own)
        graph = graph or (enabled and bool(leaves_behind(value, excluding=own)))
        found = pulled_back((value,), own, (rows,), graph=graph) if value.requires_grad else (None,) * len(own)
    return Products(value if graph else without_graph(value), found)


def graphed_product(value: Tensor, inputs: Sequence[Tensor], row: Tensor) -> list[Tensor]:
    """The products, with a graph, of one row with the value's derivatives in tensors that it was computed from."""
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(value, inputs, row, create_graph=True, allow_unused=True)
    return list(map(dense_or_zero, found, inputs))


def dense_or_zero(product: Tensor | None, x: Tensor) -> Tensor:
    """The product with the derivative in x as a dense tensor, zeros for None.

    nn.Embedding(sparse=True) gives sparse products.
    """
    if product is None:
        return torch.zeros_like(x)
    return product.to_dense() if product.is_sparse else product


def differentiates(*values: object) -> bool:
    """Whether results computed from these values may be differentiated, by a graph, a transform or dual numbers."""
    return in_transform() or in_dual_level() or any(isinstance(x, Tensor) and x.requires_grad for x in values)


class _SharedNode(GraphFunction):
    """The identity on several tensors as one node of the graph, which is newer than all nodes before it.

    A search for derivatives in these tensors ends at this node. Without it, for an input that is older than others, as
    times are, autograd would search through the graph of the others: in a solve, through all steps so far.
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
    """A new leaf with the values of x, from which nothing has been computed."""
    x = without_graph(x)
    x = x.clone() if x.is_inference() else x.view_as(x)
    return x.requires_grad_()


def without_graph(x: Tensor) -> Tensor:
    """x detached; unlike detach() it keeps the tangent of a dual number, as no_grad does."""
    primal, tangent = forward_ad.unpack_dual(x)
    detached: Tensor = primal.detach() if tangent is None else forward_ad.make_dual(primal.detach(), tangent)
    return detached


def pulled_back(
    values: Sequence[Tensor], inputs: Sequence[Tensor], rows: Sequence[Tensor], *, graph: bool
) -> tuple[Tensor | None, ...]:
    """For each input x the products (m, *x.shape) of the rows (m, *value.shape) given for each value.

    A product is None if no value depends on x. All rows are taken at once; one after the other if an operation of the
    backward pass cannot be batched, and under anomaly detection, which cannot be batched either.
    """
    how = {"create_graph": graph, "retain_graph": True, "allow_unused": True}
    unused: list[bool] = []

    def of_row(*row: Tensor) -> tuple[Tensor, ...]:
        found = torch.autograd.grad(values, inputs, row, **how)
        unused[:] = [product is None for product in found]
        return tuple(product for product in found if product is not None)

    if len(rows[0]) > 1 and not torch.is_anomaly_enabled():
        try:
            if has_saved_tensors_hooks():  # as under torch's checkpoint; torch.vmap refuses these hooks
                return torch.autograd.grad(values, inputs, rows, is_grads_batched=True, **how)
            # The same result, but is_grads_batched uses an older vmap that takes many operations, as tanh, row by row.
            used = iter(torch.vmap(of_row)(*rows))
            return tuple(None if none else next(used) for none in unused)
        except RuntimeError:
            pass  # another error than a failure to batch is raised again below, for one row
    found = zip(*(torch.autograd.grad(values, inputs, row, **how) for row in zip(*rows, strict=True)), strict=True)
    return tuple(None if column[0] is None else torch.stack(column) for column in found)


def _by_torch_func(function: Callable[..., Tensor], inputs: Sequence[Tensor], rows: Tensor) -> Products:
    """The result of `products` by torch.func; the rows are None for all inputs or for none."""
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
    """Raise a CallError if a part of dy changes with y although autograd knows no derivative of it in y.

    dy: f(t, y), from a call in grad mode in which y, or each of its parts, required grad. If the graph of each part of
    dy leads to y, f is not called; otherwise f is called twice near y.
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
    """The leaves that x was computed from, without paths through the tensors in `excluding`."""
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
    """Raise a CallError for a function that changes with its inputs, parts of y, without a derivative in them.

    It is called at two points near y, not at y: a function that jumps at y, as y > 0 does at zero, is constant there.
    needs: the need for the derivative in words, such as "rodas4 needs df/dy". output: the function's output in words.
    otherwise: another remedy, appended to the message.
    """
    with torch.no_grad():
        one, other = function(*(_near(x, 1.0) for x in inputs)), function(*(_near(x, 0.5) for x in inputs))
        moved = (one != other) & one.isfinite() & other.isfinite()
    if bool(moved.any()):
        raise CallError(f"{needs}, but {output} has no derivative in y, though it changes with y: {REMEDY}{otherwise}")


def _near(x: Tensor, share: float) -> Tensor:
    """x plus a share of a small distance, different for each entry so that changes do not cancel."""
    x = x.detach()
    far = 4 * torch.finfo(x.dtype).eps ** 0.5 * share * (1 + x.abs())
    far = far * torch.linspace(0.5, 1.0, x.numel(), dtype=far.dtype, device=x.device).view(x.shape)
    return x + (torch.complex(far, far) if x.is_complex() else far)
