"""Gradients that cannot be differentiated again: an attempt is an error with advice."""

from collections.abc import Sequence

from torch import Tensor

from node.refusal import Refusal


def differentiable_once(
    mode: str, gradients: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """The gradients in a graph (create_graph=True) in which differentiating them in the inputs is an error.

    mode: the mode's name. inputs: all tensors that the gradients depend on.
    """
    refusal = Refusal(
        f"{mode} gives first derivatives only: for second ones take gradient='backprop' or 'checkpointed'",
        [x for x in inputs if x is not None],
    )
    found = iter(refusal.of(*(g for g in gradients if g is not None)))
    return tuple(None if g is None else next(found) for g in gradients)
