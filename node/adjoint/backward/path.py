"""The forward solution as a function of time, for a backward solve."""

import bisect
import math
from collections.abc import Sequence

from torch import Tensor

from node.dense import DensePiece
from node.vector_field import Time


class Path:
    """The dense output over the steps of a solve; outside of them the polynomial of the nearest step."""

    def __init__(self, pieces: Sequence[DensePiece]) -> None:
        self._pieces = pieces
        self._sign = math.copysign(1.0, pieces[0].dt)
        self._ends = [self._sign * (piece.t + piece.dt) for piece in pieces[:-1]]
        self._t: Time = math.nan
        self._y = pieces[0].y

    def at(self, t: Time) -> Tensor:
        """y(t), flat; differentiable in a 0-dimensional tensor t."""
        if isinstance(t, Tensor):
            return self._piecewise(t, t.detach().item())
        if t != self._t:  # consecutive calls share a time: the last stage of a step and the first of the next
            self._t, self._y = t, self._piecewise(t, t)
        return self._y

    def _piecewise(self, t: Time, time: float) -> Tensor:
        return self._pieces[bisect.bisect_left(self._ends, self._sign * time)].at_time(t)
