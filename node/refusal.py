"""Results without a gradient, for which a backward pass, and nothing before it, raises an error with advice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.errors import GradientError
from node.graph_function import GraphFunction


@dataclass(frozen=True)
class Refusal:
    """A GradientError with this message for every gradient in the inputs."""

    message: str
    inputs: Sequence[Tensor]

    def of(self, *results: Tensor) -> tuple[Tensor, ...]:
        """Copies of the results in a graph that refuses gradients; the results themselves if no input requires grad."""
        inputs = [x for x in self.inputs if x.requires_grad]
        if not (inputs and torch.is_grad_enabled()):
            return results
        refused: tuple[Tensor, ...] = _Refused.apply(self.message, len(inputs), *inputs, *results)
        return refused


class _Refused(GraphFunction):
    @staticmethod
    def forward(ctx: Any, message: str, n_inputs: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.message = message
        return tuple(x.clone() for x in tensors[n_inputs:])

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[None, ...]:
        if not needs_derivative(bars):
            return (None,) * len(ctx.needs_input_grad)
        raise GradientError(ctx.message)


def needs_derivative(gradients: Sequence[Tensor]) -> bool:
    """Whether the incoming gradients need a derivative: not if they are all zero and have no graph of their own."""
    return torch.is_grad_enabled() or any(bool((gradient != 0).any()) for gradient in gradients)
