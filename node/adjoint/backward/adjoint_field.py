"""The base of the adjoint equations: it counts vector-Jacobian products, and adds jumps that are spread over a step."""

from collections.abc import Sequence

from torch import Tensor

from node.adjoint.backward.forcing import Forcing
from node.adjoint.backward.impulses import Jumping
from node.adjoint.backward.real import real
from node.adjoint.field.derived import DerivedField
from node.layout import Layout
from node.user_field import UserField
from node.vector_field import Time


class AdjointField(DerivedField, Jumping):
    """An adjoint equation of dy/dt = f(t, y), in real numbers: a complex state is twice as long.

    vjps: the number of vector-Jacobian products of f so far.
    """

    def __init__(self, field: UserField, like: Tensor, layout: Layout, parameters: Sequence[Tensor]) -> None:
        """Set up the equation; like: a flat state of the user's. layout: the layout of the equation's vectors."""
        super().__init__(field, layout)
        self.vjps = 0
        self.forcing: Forcing | None = None
        self.parameters = tuple(parameters)
        self._like = like
        self._n = real(like).numel()

    def cotangent(self, t: Time, b: Tensor) -> Tensor:
        """The vector of the vector-Jacobian product: -a, from b, the adjoint a without the jumps that are spread."""
        return b.neg() if self.forcing is None else self.forcing.cotangent(t, b)
