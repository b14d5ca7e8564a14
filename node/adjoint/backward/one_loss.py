"""A check for backward passes that can handle only one loss at a time."""

from collections.abc import Sequence

from torch import Tensor

from node.errors import GradientError
from node.torch_private import is_batched_backwards


def check_one_loss(mode: str, bars: Sequence[Tensor | None]) -> None:
    """Refuse a batched backward pass for many losses. mode: its name. bars: the gradients to the solve's outputs."""
    if any(bar is not None and is_batched_backwards(bar) for bar in bars):
        raise GradientError(
            f"{mode} goes back for one loss at a time: leave out vectorize=True and is_grads_batched=True, "
            "or take gradient='backprop'"
        )
