"""Right-hand sides that are derived from a user's vector field."""

from abc import ABC, abstractmethod

from torch import Tensor

from node.layout import Layout, State
from node.user_field import UserField
from node.vector_field import Time


class DerivedField(ABC):
    """A right-hand side that calls a user's field, and has the field's times, limits and number of calls.

    layout: the layout of the states that `restore` gives.
    """

    def __init__(self, field: UserField, layout: Layout) -> None:
        self.field = field
        self.layout = layout

    @abstractmethod
    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """The flat slope at time t and flat state y."""

    def restore(self, y: Tensor) -> State:
        """The state of a flat vector, in the form that callbacks and events take."""
        return self.layout.restore(y)

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """The slope for a Jacobian that is computed at once."""
        return self(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """The slope itself, as its products in a backward pass are not counted here."""
        return dy

    def time(self, t: Time) -> Tensor:
        """The time tensor that the user's f is called with."""
        return self.field.time(t)

    @property
    def calls(self) -> int:
        """The number of calls of the user's f so far."""
        return self.field.calls

    @property
    def limits(self) -> tuple[float, float]:
        """The first and the last time at which the user's f is called."""
        return self.field.limits

    @limits.setter
    def limits(self, limits: tuple[float, float]) -> None:
        self.field.limits = limits

    def between(self, first: float, last: float) -> None:
        """Restrict later calls of f to times within the open interval."""
        self.field.between(first, last)

    def between_columns(self, first: Tensor, last: Tensor) -> None:
        """Restrict later calls of f to an open interval for each sample: columns (B, 1) in the solver's dtype."""
        self.field.between_columns(first, last)
