"""The tensors that a vector field depends on beside t and y, found by one walk over the graph of one call."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from node.adjoint.field.copy import FieldCopy
from node.adjoint.field.edge import Edge, edge_of
from node.derivatives import check_derivative, leaves_behind
from node.errors import CallError, CallTypeError
from node.torch_private import TorchDispatchMode, number_of, tree_leaves
from node.user_field import FirstCall, UserField
from node.vector_field import Time


class Dependencies(NamedTuple):
    """The properties of f that the first call of a solve shows."""

    call: FirstCall
    tensors: tuple[Tensor, ...]  # those made before the call that its graph leads to
    random: bool  # whether f draws random numbers
    calls: int  # calls of f made to find all this
    graph: tuple[Tensor, Tensor] | None = None  # the y that f was called with, and f there; with `keep_graph` only


def dependencies(f: UserField, t: Time, y: Tensor, *, keep_graph: bool) -> Dependencies:
    """Call f at (t, flat y) with a graph, and find the tensors made before the call that the graph leads to.

    A tensor that was computed outside of f, such as exp(W) or an encoder's output, counts itself, not the tensors that
    it was computed from: autograd continues through its own graph. Such a tensor is looked for among the attributes and
    closures of f, and then among the operands of all operations of one more call.
    """
    before = _generator_states(f)
    call = _recorded(f, t, y)
    start, dy = call.start, call.flat
    random = any(not torch.equal(a, b) for a, b in zip(before, _generator_states(f), strict=True))
    found, outer, reached = _made_before(start, dy)
    if not reached or isinstance(call.dy, tuple):
        check_derivative(lambda _, near: _tensor_or_tuple(f.evaluate(t, start, near)), f.time(t), call.state, call.dy)
    for candidates in (_attributes, operands):
        if not outer:
            break
        named = {edge_of(x): x for x in candidates(f, t, y) if x.grad_fn is not None and edge_of(x) in outer}
        found += named.values()
        outer -= named.keys()
    if outer:
        names = ", ".join(edge.node.name() for edge in outer)
        raise CallError(
            f"the vector field depends on a tensor that was computed outside of it, by {names}, and cannot be found: "
            "compute it inside, or take gradient='backprop'"
        )
    return Dependencies(
        FirstCall(t, y, dy.detach().clone()), tuple(found), random, f.calls, (start, dy) if keep_graph else None
    )


def checked_parameters(given: Iterable[Tensor] | None) -> tuple[Tensor, ...] | None:
    """The parameters given by the caller as a tuple, or None; a CallTypeError if they are not tensors."""
    if isinstance(given, Tensor):
        raise CallTypeError("parameters is one tensor, whose rows it would be taken for: pass a tuple, parameters=(W,)")
    given = None if given is None else tuple(given)
    for x in given or ():
        if not isinstance(x, Tensor):
            raise CallTypeError(f"parameters has an entry of type {type(x).__name__}: pass a tuple of tensors")
    return given


def differentiated(
    found: Sequence[Tensor], given: tuple[Tensor, ...] | None, usual: Iterable[Tensor]
) -> tuple[Tensor, ...]:
    """The tensors that get a gradient: all that f may depend on, or `given` and the tensors computed outside of f.

    given: by the caller, or None. usual: a module's parameters, as f may depend on more of them at later times.
    """
    if given is None:
        return unique((*usual, *found))
    known = {edge_of(x) for x in given}
    left_out = [str(tuple(x.shape)) for x in found if x.is_leaf and edge_of(x) not in known]
    if left_out:
        warnings.warn(
            f"the vector field depends on tensors that require grad and are not among the parameters given, of shape "
            f"{', '.join(left_out)}: they get no gradient; pass them too, or detach them",
            UserWarning,
            stacklevel=4,
        )
    return unique((*given, *(x for x in found if not x.is_leaf)))


def operands(f: UserField, t: Time, y: Tensor) -> list[Tensor]:
    """The operands of all operations of a call of f."""
    with _Operands() as seen:
        _recorded(f, t, y)
    tensors: list[Tensor] = seen.tensors
    return tensors


def slope_and_outer_edges(f: UserField, t: Time, y: Tensor) -> tuple[Tensor, set[Edge]]:
    """f(t, flat y) without a graph, and the edges of its graph to tensors that were computed before the call."""
    call = _recorded(f, t, y)
    return call.flat.detach(), _made_before(call.start, call.flat)[1]


def check_independent(mode: str, computed: Iterable[Tensor], others: Iterable[Tensor]) -> None:
    """Refuse tensors that were computed outside of f from a tensor that f also reads itself.

    The gradient of f in the latter would include the part through the former, and the graph outside adds it again.
    """
    known = {id(x) for x in others}
    for x in computed:
        if any(id(leaf) in known for leaf in leaves_behind(x)):
            raise CallError(
                f"{mode}: the vector field reads a tensor of shape {tuple(x.shape)} that was computed outside of it, "
                "and also what that was computed from: compute it inside, or let it be an attribute or a local of the "
                "function that makes f, or take gradient='backprop'"
            )


def _attributes(f: UserField, _t: Time, _y: Tensor) -> list[Tensor]:
    return FieldCopy(f.f).tensors


def unique(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The tensors among these that require grad, without duplicates."""
    return tuple({id(x) if x.is_leaf else edge_of(x): x for x in tensors if x.requires_grad}.values())


class _Recorded(NamedTuple):
    """A call of f with a graph."""

    start: Tensor  # flat y
    state: Any  # the state that f was called with
    dy: Any  # the value that f returned
    flat: Tensor  # the same, flat


def _recorded(f: UserField, t: Time, y: Tensor) -> _Recorded:
    y = y.clone() if y.is_inference() else y.detach()
    with torch.enable_grad():
        start = y.requires_grad_().clone()
        state = f.layout.restore(start)
        dy = _tensor_or_tuple(f.evaluate(t, start, state))
        return _Recorded(start, state, dy, f.layout.flatten(dy))


def _tensor_or_tuple(dy: Any) -> Any:
    """The value that f returned, with any other iterable than a tensor as a tuple, to be read more than once."""
    return tuple(dy) if isinstance(dy, Iterable) and not isinstance(dy, Tensor) else dy


def _made_before(start: Tensor, dy: Tensor) -> tuple[list[Tensor], set[Edge], bool]:
    """The leaves in the graph of dy, its edges to nodes made before `start`, and whether it leads to `start`.

    autograd numbers nodes as they are made, in each thread. Nodes of another thread may have any number: then the walk
    continues to the leaves behind them.
    """
    end = start.grad_fn
    if dy.grad_fn is None or end is None:
        return ([dy] if dy.requires_grad else []), set(), False
    first, reached = number_of(end), False
    rest: list[Any] = [(dy.grad_fn, dy.output_nr)]
    leaves: dict[int, Tensor] = {}
    outer: set[Edge] = set()
    seen: set[Any] = set()
    while rest:
        node, output = rest.pop()
        if node in seen:
            continue
        if node is end:
            reached = True
        elif hasattr(node, "variable"):
            leaves[id(node.variable)] = node.variable
        elif number_of(node) < first:
            outer.add(Edge(node, output))
        else:
            seen.add(node)
            rest += [following for following in node.next_functions if following[0] is not None]
    return list(leaves.values()), outer, reached


class _Operands(TorchDispatchMode):
    """A dispatch mode that records the operands of operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tensors: list[Tensor] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.tensors += [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        return operation(*args, **kwargs)


def _generator_states(f: UserField) -> list[Tensor]:
    """The states of the generators from which f may draw."""
    states = [torch.get_rng_state()]
    if f.layout.device.type == "cuda":
        states.append(torch.cuda.get_rng_state(f.layout.device))
    return states
