"""What a solver carries from step to step: a tensor, or a tuple of tensors."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor


def parts(carry: Any) -> tuple[Tensor, ...]:
    """The tensors of a carry."""
    return (carry,) if isinstance(carry, Tensor) else tuple(carry)


def each(change: Callable[[Tensor], Tensor], carry: Any) -> Any:
    """A carry like this one, with each tensor changed."""
    return change(carry) if isinstance(carry, Tensor) else rebuilt(carry, map(change, carry))


def rebuilt(carry: Any, tensors: Iterable[Tensor]) -> Any:
    """A tuple like this one, named if it is."""
    return carry._make(tensors) if hasattr(carry, "_make") else tuple(tensors)
