"""The outputs on the way back: what the adjoint jumps by at each, and where the backward solve steps over it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.forcing import Forcing
from node.controller import SAME_TIME
from node.trajectory import Jumps


class Outputs(NamedTuple):
    """States that the forward pass found, and what the loss makes of them, in its order of time."""

    times: Sequence[float]
    y: Tensor  # (m, n)
    dl_dy: Tensor  # (m, n)


class Jumping(ABC):
    """An adjoint equation in which jumps can be spread over a step."""

    forcing: Forcing | None = None

    @abstractmethod
    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The vector z where the adjoint jumps (n,) and the forward pass has found y (n,)."""


class Impulses(Jumps):
    """The jumps dL/dy(t_i) between the ends of a backward solve, as the loop meets them.

    A step that passes outputs is cut short to end on the last of them. The others are spread over it (`Forcing`), and
    all are added to its end, where y is set to what the forward pass has found. So a solve whose steps are shorter than
    the time between outputs lands on each, as does Chen et al.'s, and one whose steps are longer takes little more
    steps than without them. To land less often saves few evaluations: y then drifts, and more is spread.

    degree: of what a jump is spread as; None to land on every output.
    """

    def __init__(self, outputs: Outputs, jumps: Tensor, equation: Jumping, degree: int | None) -> None:
        """jumps: as dL/dy, in the equation's real coordinates."""
        self._times = outputs.times
        self._y = outputs.y
        self._jumps = jumps
        self._equation = equation
        self._degree = degree
        self._next = len(outputs.times) - 2  # the next output on the way back; the last one, 0, is the end
        self._last = self._next + 1  # the step in hand passes those from `_next` down to here
        self._sign = 1.0 if outputs.times[-1] > outputs.times[0] else -1.0

    @property
    def stops(self) -> Sequence[float]:
        """The times that every solve must land on, in its order."""
        return self._times[-2:0:-1] if self._degree is None else ()

    def end(self, t: float, t1: float) -> float:
        """t1, or the last output that a step from t to there passes or meets but for rounding."""
        i = self._passed(t1 - self._sign * SAME_TIME * abs(t1 - t))
        return t1 if i > self._next else self._times[i]

    def begin(self, t: float, t1: float) -> bool:
        """Spread the jumps within a step before it is tried; tell whether the equation is another one than before."""
        self._last = self._passed(t1)
        before, self._equation.forcing = self._equation.forcing, None
        if self._degree is not None and self._last < self._next:
            within = slice(self._last + 1, self._next + 1)
            self._equation.forcing = Forcing(t, t1 - t, self._times[within], self._jumps[within], self._degree)
        return before is not None or self._equation.forcing is not None

    @override
    def finish(self, t1: float, z: Tensor) -> Tensor | None:
        """Move past an accepted step's end; what the vector jumps to there, None where it does not."""
        i, j = self._last, self._next + 1
        if i == j:
            return None
        self._next = i - 1
        return self._equation.jumped(z, self._jumps[i:j].sum(0), self._y[i])

    def _passed(self, t1: float) -> int:
        """The last output on the way to t1 that is not passed yet; `_next` + 1 where there is none."""
        i = self._next + 1
        while i > 1 and self._sign * (self._times[i - 1] - t1) >= 0:
            i -= 1
        return i
