"""Dense output: the solution between the ends of steps, as a polynomial in each."""

import bisect
from collections.abc import Sequence
from typing import Generic, NamedTuple, cast

import torch
from torch import Tensor

from node.layout import Layout
from node.vector_field import S


class DensePiece(NamedTuple):
    """One step's polynomial: y(t + theta dt) = y + sum_j theta^j c_j, theta in [0, 1]."""

    t: float
    dt: float
    y: Tensor  # (n,)
    c: Tensor  # (degree, n), of theta, theta^2, ...

    def at(self, times: Sequence[float]) -> Tensor:
        """States (len(times), n)."""
        thetas = [(time - self.t) / self.dt for time in times]
        degree = len(self.c)
        powers = torch.tensor(
            [theta**j for theta in thetas for j in range(1, degree + 1)], dtype=self.y.dtype, device="cpu"
        )
        powers = powers.view(-1, degree).to(self.y.device, non_blocking=True)
        return torch.addmm(self.y, powers, self.c)


class DenseOutput(Generic[S]):
    """The solution as a function of time, over the steps that were taken: `solution.dense(t)`."""

    def __init__(self, pieces: Sequence[DensePiece], layout: Layout):
        self.t0 = pieces[0].t
        self.t1 = pieces[-1].t + pieces[-1].dt
        self._pieces = pieces
        self._layout = layout
        self._sign = 1.0 if pieces[0].dt > 0 else -1.0
        self._ends = [self._sign * (piece.t + piece.dt) for piece in pieces]

    def __call__(self, t: Tensor | float) -> S:
        """States (*t.shape, *y0.shape) at times within [t0, t1]; each differentiable if the solve's own states are."""
        times = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        flat = torch.stack([self._at(time) for time in times.reshape(-1).tolist()])
        states = self._layout.restore_all(flat)
        if isinstance(states, Tensor):
            return cast(S, states.view(*times.shape, *states.shape[1:]))
        return cast(S, tuple(state.view(*times.shape, *state.shape[1:]) for state in states))

    def _at(self, time: float) -> Tensor:
        if not min(self.t0, self.t1) <= time <= max(self.t0, self.t1):
            raise ValueError(
                f"t={time!r} is outside of the solve: dense output holds within [{self.t0!r}, {self.t1!r}]"
            )
        i = bisect.bisect_left(self._ends, self._sign * time)
        return self._pieces[min(i, len(self._pieces) - 1)].at([time])[0]


def hermite(y0: Tensor, y1: Tensor, dt: float | Tensor, f0: Tensor, f1: Tensor) -> Tensor:
    """The cubic through y0 and y1 with slopes f0 and f1: (3, *y0.shape), of theta, theta^2, theta^3."""
    rise, start, end = y1 - y0, dt * f0, dt * f1
    return torch.stack((start, 3 * rise - 2 * start - end, start + end - 2 * rise))
