"""The right-hand side of dy/dt = f(t, y), as users write it and as solvers call it."""

from typing import Protocol, TypeVar

from torch import Tensor, nn

from node.layout import Layout, State

S = TypeVar("S", bound=State)
Time = float | Tensor  # a float; with per-sample stepping a column (B, 1) in the solver's dtype


class VectorField(Protocol[S]):
    """f(t, y) -> dy/dt: y and dy/dt tensors of one shape, or tuples of such.

    t: 0-dimensional, in y's real dtype (float32 for a half); with per-sample stepping (B, 1, ..., 1), so that it
    broadcasts against y. A field that writes into t or y is refused. What it returns may be a tensor that it keeps,
    such as one that it fills in every call: the solve takes a copy.
    """

    def __call__(self, t: Tensor, y: S, /) -> S:
        """dy/dt at (t, y)."""


class RightHandSide(Protocol):
    """dy/dt = f(t, y) as a solver calls it: of flat states (n,) and times that are floats.

    With per-sample stepping states are (B, n) and times columns (B, 1).
    """

    limits: tuple[float, float]  # the first and the last time at which the user's f is called

    @property
    def layout(self) -> Layout:
        """How the states that `restore` gives stand in a vector."""

    @property
    def calls(self) -> int:
        """The number of calls of the user's f so far."""

    def __call__(self, t: Time, y: Tensor, /) -> Tensor:
        """dy/dt, flat, at time t and flat state y; in memory that f does not write to again."""

    def restore(self, y: Tensor, /) -> State:
        """The user's state of a flat one, as callbacks and events are given it."""

    def traced(self, t: Time, y: Tensor, /) -> Tensor:
        """As a call whose Jacobian is taken there and then, by products that belong to no backward pass."""

    def counted(self, dy: Tensor, /) -> Tensor:
        """dy, whose products in a backward pass count from now on where such are counted."""

    def time(self, t: Time, /) -> Tensor:
        """What the user's f gets for time."""

    def between(self, first: float, last: float, /) -> None:
        """From now on f is called within the open interval only: at its ends, with its limits from inside."""

    def between_columns(self, first: Tensor, last: Tensor, /) -> None:
        """As `between`, for each sample: columns (B, 1) in the solver's dtype."""


class Counted(nn.Module):
    """A vector field that counts its own calls and the vector-Jacobian products taken through them.

    Works under any library that calls f(t, y), so NFE is counted and not inferred. A product is counted when
    the backward pass reaches a call's output; it is of use where f is traced, not where time is measured.
    """

    def __init__(self, f: VectorField[Tensor]) -> None:
        super().__init__()
        self.f = f
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self.calls = 0
        self.vjps = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt of the wrapped field, unchanged."""
        self.calls += 1
        dy = self.f(t, y)
        if dy.requires_grad:
            dy.register_hook(self._count_vjp)
        return dy

    def _count_vjp(self, _: Tensor) -> None:
        self.vjps += 1
