"""The jumps of the adjoint at the outputs, and the steps of a backward solve that pass over outputs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.forcing import Forcing
from node.controller import SAME_TIME
from node.trajectory import Jumps


class Outputs(NamedTuple):
    """States of the forward pass and the loss's gradients to them, in the order of the forward pass."""

    times: Sequence[float]
    y: Tensor  # (m, n)
    dl_dy: Tensor  # (m, n)


class Jumping(ABC):
    """An adjoint equation in which jumps can be spread over a step."""

    forcing: Forcing | None = None

    @abstractmethod
    def jumped(self, z: Tensor, jump: Tensor, y: Tensor) -> Tensor:
        """The vector z after a jump (n,) of the adjoint, where the state of the forward pass is y (n,)."""


class Impulses(Jumps):
    """The jumps dL/dy(t_i) between the ends of a backward solve, as the loop meets them.

    A step that passes outputs is shortened to end on the last of them. The jumps of the others are spread over the step
    (`Forcing`); at its end all are added, and y is set to the state of the forward pass. So a solve whose steps are
    shorter than the time between outputs lands on each, as in Chen et al., and a solve whose steps are longer takes few
    more steps than without outputs. Landing less often would save few evaluations: y would drift, and more jumps would
    be spread.

    degree: that of the polynomial over which a jump is spread; None to land on every output.
    """

    def __init__(self, outputs: Outputs, jumps: Tensor, equation: Jumping, degree: int | None) -> None:
        """Start at the last output; jumps: dL/dy in the equation's real coordinates."""
        self._times = outputs.times
        self._y = outputs.y
        self._jumps = jumps
        self._equation = equation
        self._degree = degree
        self._next = len(outputs.times) - 2  # the next output, backwards; output 0 is the end of the solve
        self._last = self._next + 1  # the current step passes the outputs from `_next` down to this one
        self._sign = 1.0 if outputs.times[-1] > outputs.times[0] else -1.0

    @property
    def stops(self) -> Sequence[float]:
        """The times that steps must end at, in the order of the solve."""
        return self._times[-2:0:-1] if self._degree is None else ()

    def end(self, t: float, t1: float) -> float:
        """The end of a step from t towards t1: the last output on the way, up to rounding; t1 if there is none."""
        i = self._passed(t1 - self._sign * SAME_TIME * abs(t1 - t))
        return t1 if i > self._next else self._times[i]

    def begin(self, t: float, t1: float) -> bool:
        """Spread the jumps within a step before it is tried; whether the equation differs from the last step's."""
        self._last = self._passed(t1)
        before, self._equation.forcing = self._equation.forcing, None
        if self._degree is not None and self._last < self._next:
            within = slice(self._last + 1, self._next + 1)
            self._equation.forcing = Forcing(t, t1 - t, self._times[within], self._jumps[within], self._degree)
        return before is not None or self._equation.forcing is not None

    @override
    def finish(self, t1: float, z: Tensor) -> Tensor | None:
        """The vector after the jump at the end of an accepted step; None if there is no jump."""
        i, j = self._last, self._next + 1
        if i == j:
            return None
        self._next = i - 1
        return self._equation.jumped(z, self._jumps[i:j].sum(0), self._y[i])

    def _passed(self, t1: float) -> int:
        """The index of the last output that a step to t1 passes or meets; `_next` + 1 if there is none."""
        i = self._next + 1
        while i > 1 and self._sign * (self._times[i - 1] - t1) >= 0:
            i -= 1
        return i
