"""Dense output: the solution within the steps, as a polynomial in each step."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, cast

import torch
from torch import Tensor

from node.errors import CallError
from node.layout import Layout
from node.refusal import Refusal
from node.vector_field import S, Time


class DensePiece(NamedTuple):
    """One step's polynomial: y(t + theta dt) = y + sum_j theta^j c_j, theta in [0, 1]."""

    t: float
    dt: float
    y: Tensor  # (n,)
    c: Tensor  # (degree, n), of theta, theta^2, ...

    def at(self, times: Sequence[float]) -> Tensor:
        """The states (len(times), n) at several times."""
        powers = self._powers(times)
        return torch.addmm(self.y, powers.view(len(times), -1), self.c)

    def at_time(self, t: Time) -> Tensor:
        """The state (n,) at one time; differentiable in a 0-dimensional tensor t."""
        if isinstance(t, Tensor):
            theta = (t - self.t) / self.dt
            powers = torch.stack([theta**j for j in range(1, len(self.c) + 1)]).to(self.c)
        else:
            powers = self._powers([t])
        return torch.addmv(self.y, self.c.t(), powers)

    def sum(self, powers: Tensor) -> Tensor:
        """The states (m, n) at powers (m, k) of theta, theta^2, ...; powers beyond the degree of c are ignored."""
        return torch.addmm(self.y, powers[:, : len(self.c)], self.c)

    def _powers(self, times: Sequence[float]) -> Tensor:
        """The powers theta, theta^2, ... at each of the times, concatenated."""
        exponents = range(1, self.c.shape[0] + 1)  # `len` of a tensor costs four times as much
        powers = [((time - self.t) / self.dt) ** j for time in times for j in exponents]
        return torch.tensor(powers, dtype=self.y.dtype, device="cpu").to(self.y.device, non_blocking=True)


class DenseOutput(Generic[S]):
    """The solution as a function of time over the steps of the solve: `solution.dense(t)`.

    refusal: refuses gradients, for modes without gradients through dense output.
    """

    def __init__(self, pieces: Sequence[DensePiece], layout: Layout, refusal: Refusal | None = None) -> None:
        self.t0 = pieces[0].t
        self.t1 = pieces[-1].t + pieces[-1].dt
        self._earliest, self._latest = min(self.t0, self.t1), max(self.t0, self.t1)
        self._pieces = pieces
        self._layout = layout
        self._refusal = refusal
        self._exponents = torch.arange(1, 1 + max(len(piece.c) for piece in pieces), device="cpu")
        steps = torch.tensor([(piece.t, piece.dt) for piece in pieces], dtype=torch.float64, device="cpu")
        self._starts, self._sizes = steps.unbind(dim=1)
        self._sign = 1.0 if pieces[0].dt > 0 else -1.0
        self._ends = self._sign * (self._starts + self._sizes)

    def __call__(self, t: Tensor | float) -> S:
        """The states (*t.shape, *y0.shape) at times within [t0, t1], in any order.

        They are differentiable in t, and in all else that the solve's own states are differentiable in.
        """
        times = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        flat = self._states(times.reshape(-1))
        if self._refusal is not None:
            (flat,) = self._refusal.of(flat)
        states = self._layout.restore_all(flat)
        if isinstance(states, Tensor):
            return cast(S, states.view((*times.shape, *states.shape[1:])))
        return cast(S, tuple(state.view((*times.shape, *state.shape[1:])) for state in states))

    def _states(self, times: Tensor) -> Tensor:
        """The flat states (m, n) at times (m,) in any order; times within the same piece are evaluated together."""
        self._check_within(times)
        place = torch.searchsorted(self._ends, self._sign * times.detach()).clamp_(max=len(self._pieces) - 1)
        if len(times) == 1 and not times.requires_grad:  # the same result without sorting
            return self._pieces[int(place)].at(times.tolist())
        theta = (times - self._starts[place]) / self._sizes[place]
        powers = theta.unsqueeze(1) ** self._exponents
        place, order = place.sort(stable=True)
        hit, counts = place.unique_consecutive(return_counts=True)
        like = self._pieces[0].y
        parts = powers[order].to(like.device, like.dtype).split(counts.tolist())
        sums = [self._pieces[i].sum(part) for i, part in zip(hit.tolist(), parts, strict=True)]
        found = torch.cat([like.new_empty(0, len(like)), *sums])
        return found[order.argsort().to(like.device)]

    def _check_within(self, times: Tensor) -> None:
        within = (times >= self._earliest) & (times <= self._latest)
        if not within.all():
            raise CallError(
                f"t={times[~within][0].item()!r} is outside of the solve: "
                f"dense output holds within [{self.t0!r}, {self.t1!r}]"
            )


def hermite(y0: Tensor, y1: Tensor, dt: float | Tensor, f0: Tensor, f1: Tensor) -> Tensor:
    """The cubic from y0 to y1 with slopes f0 and f1: coefficients (3, *y0.shape) of theta, theta^2, theta^3."""
    rise, start, end = y1 - y0, dt * f0, dt * f1
    return torch.stack((start, 3 * rise - 2 * start - end, start + end - 2 * rise))
