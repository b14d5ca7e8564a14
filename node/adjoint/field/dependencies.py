"""What a vector field depends on beside t and y: found by one walk over the graph of one call."""

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
    """What the first call of a solve has told of f."""

    call: FirstCall
    tensors: tuple[Tensor, ...]  # made before the call, and part of its graph
    random: bool  # whether f draws random numbers
    calls: int  # of f, which all this has taken
    graph: tuple[Tensor, Tensor] | None = None  # y as f was given it, and f there, where these are of use


def dependencies(f: UserField, t: Time, y: Tensor, *, keep_graph: bool) -> Dependencies:
    """Call f at (t, flat y) with a graph, and find the tensors that were there before and that the graph leads to.

    A tensor that is the outcome of a computation outside of f, such as exp(W) or an encoder's output, counts itself,
    not what it was made from: its own graph goes on from there. Such a one is looked for among the attributes and
    closures of f, and then among all that goes into the operations of one more call.
    """
    before = _generator_states(f)
    call = _recorded(f, t, y)
    start, dy = call.start, call.flat
    random = any(not torch.equal(a, b) for a, b in zip(before, _generator_states(f), strict=True))
    found, outer, reached = _before(start, dy)
    if not reached or isinstance(call.dy, tuple):
        check_derivative(lambda _, near: _parts(f.called(t, start, near)), f.time(t), call.state, call.dy)
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
    """What the caller has given, in a tuple."""
    if isinstance(given, Tensor):
        raise CallTypeError("parameters is one tensor, whose rows it would be taken for: pass a tuple, parameters=(W,)")
    given = None if given is None else tuple(given)
    for x in given or ():
        if not isinstance(x, Tensor):
            raise CallTypeError(f"parameters has an entry of type {type(x).__name__}: pass a tuple of tensors")
    return given


def chosen(found: Sequence[Tensor], given: tuple[Tensor, ...] | None, usual: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """What gradients go to: all that f may depend on; or what is given, and what was computed outside of f.

    given: by the caller, or None. usual: what f may depend on elsewhere than at its start, a module's parameters.
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
    """All tensors that go into the operations of a call of f."""
    with _Operands() as seen:
        _recorded(f, t, y)
    tensors: list[Tensor] = seen.tensors
    return tensors


def outside(f: UserField, t: Time, y: Tensor) -> tuple[Tensor, set[Edge]]:
    """f(t, flat y), without a graph, and where its graph leads to what was computed before."""
    call = _recorded(f, t, y)
    return call.flat.detach(), _before(call.start, call.flat)[1]


def check_apart(mode: str, computed: Iterable[Tensor], others: Iterable[Tensor]) -> None:
    """Refuse what was computed outside of f from something that f reads too.

    The gradient of f in the latter would have a part that comes by way of the former, which comes from outside again.
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
    """The tensors among these that require grad, without doubles."""
    return tuple({id(x) if x.is_leaf else edge_of(x): x for x in tensors if x.requires_grad}.values())


class _Recorded(NamedTuple):
    """A call of f with a graph."""

    start: Tensor  # flat y
    state: Any  # as f was given it
    dy: Any  # as f gave it
    flat: Tensor  # and flat


def _recorded(f: UserField, t: Time, y: Tensor) -> _Recorded:
    y = y.clone() if y.is_inference() else y.detach()
    with torch.enable_grad():
        start = y.requires_grad_().clone()
        state = f.layout.restore(start)
        dy = _parts(f.called(t, start, state))
        return _Recorded(start, state, dy, f.layout.flatten(dy))


def _parts(dy: Any) -> Any:
    """What f has given, as a tensor or a tuple, which can be read more than once; anything else as it is."""
    return tuple(dy) if isinstance(dy, Iterable) and not isinstance(dy, Tensor) else dy


def _before(start: Tensor, dy: Tensor) -> tuple[list[Tensor], set[Edge], bool]:
    """The leaves that the graph of dy leads to, its edges to what was computed before `start`, and if it leads there.

    Nodes are numbered as they are made, in each thread. Those that another thread has made may have any number: then
    the walk goes on to the leaves behind them.
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
    """Takes down the tensors that operations are given."""

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
