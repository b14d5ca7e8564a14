"""Functions that are called again for their derivatives, of any order, with all that they depend on."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from node.graph_function import GraphFunction

# order, *inputs -> outputs: values whose derivatives are correct up to this order. An output without any is None.
Work = Callable[..., Sequence[Tensor | None]]


def recomputed(work: Work, inputs: Sequence[Tensor], closure: Sequence[Tensor], leaves: Sequence[Tensor]) -> Tensor:
    """The value work(0, *inputs)[0], whose n-th derivatives are those of work(n, *inputs), called again for each.

    closure: tensors that `work` depends on beside its inputs. They are inputs of the graph's node too, so that the
    order of differentiation does not matter: a derivative in one of them may be zero while its own derivative is not.
    leaves: tensors with the same values, which `work` reads in place of the closure's tensors.
    """
    found: tuple[Tensor] = _Recomputed.apply(work, 0, len(inputs), leaves, *inputs, *closure)
    return found[0]


def recomputed_gradients(
    gradients: Work, tensors: Sequence[Tensor], closure: Sequence[Tensor], leaves: Sequence[Tensor]
) -> Sequence[Tensor]:
    """The value gradients(1, *tensors), whose derivatives are those of the same function, called again.

    The last tensors of (*tensors, *closure) have the shapes of the gradients. A derivative in one of these tensors is
    partial, with the others constant, also if one was computed from another.
    """
    found: Sequence[Tensor] = _Recomputed.apply(
        functools.partial(_on_leaves, gradients), 1, len(tensors), leaves, *tensors, *closure
    )
    return found


class _Recomputed(GraphFunction):
    @staticmethod
    def forward(
        ctx: Any, work: Work, order: int, n_inputs: int, leaves: Sequence[Tensor], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.work, ctx.order, ctx.n_inputs, ctx.leaves = work, order, n_inputs, leaves
        ctx.save_for_backward(*tensors)
        found = work(order, *tensors[:n_inputs])
        # The outputs of a derivative are gradients to the last of the tensors.
        return tuple(
            torch.zeros_like(x) if y is None else y for x, y in zip(tensors[-len(found) :], found, strict=True)
        )

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        inputs, closure = tensors[: ctx.n_inputs], tensors[ctx.n_inputs :]
        work = functools.partial(_on_leaves, functools.partial(_gradients, ctx.work, len(bars), ctx.leaves))
        if torch.is_grad_enabled():
            found = _Recomputed.apply(
                work, ctx.order + 1, len(bars) + len(inputs), ctx.leaves, *bars, *inputs, *closure
            )
        else:
            found = work(ctx.order + 1, *bars, *inputs)
        return None, None, None, None, *found


def _on_leaves(work: Work, order: int, *tensors: Tensor) -> Sequence[Tensor | None]:
    """The results of `work` in grad mode; outside of grad mode it is called on new leaves and the results detached."""
    if torch.is_grad_enabled():
        return work(order, *tensors)
    with torch.enable_grad():
        found = work(order, *(x.detach().requires_grad_() for x in tensors))
    return [None if x is None else x.detach() for x in found]


def _gradients(
    work: Work, n_bars: int, closure: Sequence[Tensor], order: int, *tensors: Tensor
) -> Sequence[Tensor | None]:
    """The gradients to the inputs and the closure; `tensors`: the gradients to the outputs, then the inputs."""
    bars, inputs = tensors[:n_bars], tensors[n_bars:]
    outputs = work(order, *inputs)
    pairs = [(y, bar) for y, bar in zip(outputs, bars, strict=True) if y is not None and y.requires_grad]
    if not pairs:
        return [None] * (len(inputs) + len(closure))
    given, of_given = zip(*pairs, strict=True)
    return torch.autograd.grad(given, (*inputs, *closure), of_given, create_graph=True, allow_unused=True)
