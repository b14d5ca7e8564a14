"""What the adjoint equations share: the slope of f with a graph, its products, and jumps that are spread."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from node.adjoint.backward.forcing import Forcing
from node.adjoint.backward.impulses import Jumping
from node.adjoint.backward.real import real
from node.layout import State, layout_of
from node.vector_field import FlatField, Time, VectorField


class AdjointField(FlatField, Jumping):
    """An adjoint equation of dy/dt = f(t, y), in real numbers: a complex state is twice as long.

    vjps: vector-Jacobian products of f so far.
    """

    def __init__(self, f: VectorField[Any], y0: State, parameters: Sequence[Tensor], *, samples: bool = False):
        super().__init__(f, layout_of(y0, samples=samples))
        self.vjps = 0
        self.forcing: Forcing | None = None
        self._state = self.layout
        self._parameters = tuple(parameters)
        self._like = self._state.flatten(y0).detach()  # a flat state
        self._n = real(self._like).numel()

    def pushed(self, t: Time, b: Tensor) -> Tensor:
        """The vector that is multiplied with df/dy and df/dp, from the adjoint b less the jumps that are spread."""
        return b.neg() if self.forcing is None else self.forcing.pushed(t, b)

    def _slope(self, t: Time, y: Tensor) -> Tensor:
        """f(t, y), flat."""
        if self._plain is not None:
            return super().__call__(t, y)
        return self._flattened(self._state, t, y)
