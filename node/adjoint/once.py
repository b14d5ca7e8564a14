"""Gradients that cannot be differentiated again, and say so."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def differentiable_once(
    mode: str, gradients: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """The gradients, from a backward pass whose graph was asked for: to differentiate them in the inputs is an error.

    mode: the name of the mode that gave them. inputs: all that they depend on.
    """
    tensors = [x for x in inputs if x is not None and x.requires_grad]
    if not (tensors and torch.is_grad_enabled()):
        return tuple(gradients)
    found = iter(_Once.apply(mode, len(tensors), *tensors, *(g for g in gradients if g is not None)))
    return tuple(None if g is None else next(found) for g in gradients)


def is_asked_for(gradients: Sequence[Tensor]) -> bool:
    """Whether a derivative is of use from which these come: nothing does where they are zero, and are numbers only."""
    return torch.is_grad_enabled() or any(bool((gradient != 0).any()) for gradient in gradients)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mode: str, n_inputs: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.mode = mode
        return tuple(x.view_as(x) for x in tensors[n_inputs:])

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[None, ...]:
        if not is_asked_for(bars):
            return (None,) * len(ctx.needs_input_grad)
        raise RuntimeError(
            f"{ctx.mode} gives first derivatives only: for second ones take gradient='backprop' or 'checkpointed'"
        )
