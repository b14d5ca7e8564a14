"""Gradients that cannot be differentiated again, and say so."""

from collections.abc import Sequence

from torch import Tensor

from node.refusal import Refusal


def differentiable_once(
    mode: str, gradients: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """The gradients, from a backward pass whose graph was asked for: to differentiate them in the inputs is an error.

    mode: the name of the mode that gave them. inputs: all that they depend on.
    """
    refusal = Refusal(
        f"{mode} gives first derivatives only: for second ones take gradient='backprop' or 'checkpointed'",
        [x for x in inputs if x is not None],
    )
    found = iter(refusal.of(*(g for g in gradients if g is not None)))
    return tuple(None if g is None else next(found) for g in gradients)
