"""Right-hand sides that are made of a user's."""

from abc import ABC, abstractmethod

from torch import Tensor

from node.layout import Layout, State
from node.user_field import UserField
from node.vector_field import Time


class DerivedField(ABC):
    """A right-hand side that calls a user's field: the field's times and limits, and its number of calls, are its own.

    layout: of the states that `restore` gives.
    """

    def __init__(self, field: UserField, layout: Layout) -> None:
        self.field = field
        self.layout = layout

    @abstractmethod
    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """The slope, flat, at time t and flat state y."""

    def restore(self, y: Tensor) -> State:
        """The state of a flat one, as callbacks and events are given it."""
        return self.layout.restore(y)

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """As a call whose Jacobian is taken there and then."""
        return self(t, y)

    def counted(self, dy: Tensor) -> Tensor:
        """The slope itself: its products in a backward pass are not counted."""
        return dy

    def time(self, t: Time) -> Tensor:
        """What the user's f gets for time."""
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
        """From now on f is called within the open interval only."""
        self.field.between(first, last)

    def between_columns(self, first: Tensor, last: Tensor) -> None:
        """As `between`, for each sample: columns (B, 1) in the solver's dtype."""
        self.field.between_columns(first, last)
