"""A vector field whose vector-Jacobian products are counted."""

from collections.abc import Callable
from typing import final

from torch import Tensor

from node.adjoint.field.derived import DerivedField
from node.solution import Stats
from node.torch_private import hook_with_shared
from node.user_field import UserField
from node.vector_field import Time


@final
class RecordedField(DerivedField):
    """A field that tells the statistics of each product that a backward pass takes through it.

    backwards: whether it is called in a backward pass, where a Jacobian's products, at once, are one more.
    """

    def __init__(self, field: UserField, stats: Stats, *, backwards: bool = False) -> None:
        super().__init__(field, field.layout)
        self._stats = stats
        self._backwards = backwards
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] = {0: _Count(stats)}

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, flat, with a hook where it is part of a graph."""
        return self.counted(self.field(t, y))

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """As a call, without a hook: the products of the Jacobian are the solver's own."""
        self._stats.vjp_backward += self._backwards
        return self.field(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """dy, with a hook where it is part of a graph."""
        if dy.grad_fn is not None:
            hook_with_shared(dy, self._hooks)
        return dy


class _Count:
    """A hook that counts a product. A graph holds it: it must not lead to the field."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def __call__(self, _: Tensor) -> Tensor | None:
        self._stats.vjp_backward += 1
        return None
