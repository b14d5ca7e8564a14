"""Operations on a solver's carry: a tensor or a tuple of tensors that it passes from step to step."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor


def parts(carry: Any) -> tuple[Tensor, ...]:
    """The tensors of a carry."""
    return (carry,) if isinstance(carry, Tensor) else tuple(carry)


def map_tensors(change: Callable[[Tensor], Tensor], carry: Any) -> Any:
    """The carry with each tensor replaced by `change` of it."""
    return change(carry) if isinstance(carry, Tensor) else rebuilt(carry, map(change, carry))


def rebuilt(carry: Any, tensors: Iterable[Tensor]) -> Any:
    """The tensors as a tuple of the carry's type, also if that is a named tuple."""
    return carry._make(tensors) if hasattr(carry, "_make") else tuple(tensors)
