"""The right-hand side of dy/dt = f(t, y), as users write it and as solvers call it."""

from typing import Protocol, TypeVar

from torch import Tensor, nn

from node.layout import Layout, State

S = TypeVar("S", bound=State)
Time = float | Tensor  # a float; with per-sample stepping a column (B, 1) in the solver's dtype


class VectorField(Protocol[S]):
    """f(t, y) -> dy/dt, with y and dy/dt tensors of one shape, or tuples of such.

    t: 0-dimensional, in y's real dtype (float32 for half precision); with per-sample stepping (B, 1, ..., 1), so that
    it broadcasts against y. A field that writes into t or y is refused. It may return a tensor that it keeps, such as a
    buffer that it fills in every call: the solve takes a copy.
    """

    def __call__(self, t: Tensor, y: S, /) -> S:
        """dy/dt at (t, y)."""


class RightHandSide(Protocol):
    """dy/dt = f(t, y) as a solver calls it, with flat states (n,) and times that are floats.

    With per-sample stepping states are (B, n) and times columns (B, 1).
    """

    limits: tuple[float, float]  # the first and the last time at which the user's f is called

    @property
    def layout(self) -> Layout:
        """The layout of the states that `restore` gives."""

    @property
    def calls(self) -> int:
        """The number of calls of the user's f so far."""

    def __call__(self, t: Time, y: Tensor, /) -> Tensor:
        """The flat slope dy/dt at time t and flat state y, in memory that f does not write to again."""

    def restore(self, y: Tensor, /) -> State:
        """The user's state of a flat vector, in the form that callbacks and events take."""

    def traced(self, t: Time, y: Tensor, /) -> Tensor:
        """The slope for a Jacobian that is computed at once, by products that are not part of a backward pass."""

    def counted(self, dy: Tensor, /) -> Tensor:
        """The slope itself; a field that counts products counts those of dy in a backward pass from now on."""

    def time(self, t: Time, /) -> Tensor:
        """The time tensor that the user's f is called with."""

    def between(self, first: float, last: float, /) -> None:
        """Restrict later calls of f to the open interval, so that f gives its one-sided limits at the ends."""

    def between_columns(self, first: Tensor, last: Tensor, /) -> None:
        """Restrict later calls of f to an open interval for each sample: columns (B, 1) in the solver's dtype."""


class Counted(nn.Module):
    """A vector field that counts its own calls and the vector-Jacobian products taken through them.

    It works under any library that calls f(t, y), so that NFE is counted and not inferred. A product is counted when
    the backward pass reaches a call's output. Use it to count, not where time is measured.
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
