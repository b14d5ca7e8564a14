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
    """A field that counts in the statistics each product that a backward pass takes through it.

    backwards: whether it is called in a backward pass, where the products of a Jacobian, together, count as one more.
    """

    def __init__(self, field: UserField, stats: Stats, *, backwards: bool = False) -> None:
        super().__init__(field, field.layout)
        self._stats = stats
        self._backwards = backwards
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] = {0: _Count(stats)}

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """The flat slope dy/dt, with a counting hook if it is part of a graph."""
        return self.counted(self.field(t, y))

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """The slope without a hook, as the products of the Jacobian belong to the solver."""
        self._stats.vjp_backward += self._backwards
        return self.field(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """The slope with a counting hook if it is part of a graph."""
        if dy.grad_fn is not None:
            hook_with_shared(dy, self._hooks)
        return dy


class _Count:
    """A hook that counts a product. A graph holds it, so it must have no reference to the field."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def __call__(self, _: Tensor) -> Tensor | None:
        self._stats.vjp_backward += 1
        return None
