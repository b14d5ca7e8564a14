"""Step size controllers: pure functions of the error estimate and the controller's memory."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor

from node.constants import made_once
from node.errors import CallError
from node.vector_field import RightHandSide

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Tolerance = float | Tensor | tuple[float | Tensor, ...]
R = TypeVar("R", float, "npt.NDArray[np.float64]")
Norm = Callable[[Tensor], Tensor | float]  # over the last dimension, (..., n) to (...); may be a float for a vector


def rms_norm(x: Tensor) -> Tensor | float:
    """Root mean square over the last dimension, Hairer, Norsett & Wanner (1993), eq. II.4.11.

    For a vector it is a float, and the call waits for the device.
    """
    if x.dim() == 1:
        size: float = torch.linalg.vector_norm(x).item()
        return size / math.sqrt(len(x))
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1)
    return norms / math.sqrt(x.shape[-1])


# Two times closer than this fraction of a step count as equal: i * dt does not equal an output to the last bit.
SAME_TIME = 1e-9
# A solve ends when its step is smaller than this fraction of the first one. At t = 0 this is the only limit, as the
# floating-point resolution of time is zero there.
LEAST_STEP = 1e-18


# What the filter remembers of an error ratio is no smaller: of a step without error no power could be taken.
LEAST_MEMORY = 1e-10


class Verdict(NamedTuple):
    """A controller's decision on a step."""

    accepted: bool
    dt: float  # the size of the next step, with the sign of this one
    memory: tuple[float, float]  # error ratios of the last two accepted steps


@dataclass(frozen=True)
class FixedStep:
    """Steps of one size dt > 0 from t0; the last one is shortened to land on the end time.

    one_sided: as in FixedGrid.
    """

    dt: float
    one_sided: bool = False

    adaptive = False

    def __post_init__(self) -> None:
        if not (self.dt > 0 and math.isfinite(self.dt)):
            raise CallError(f"FixedStep: dt is {self.dt!r} and must be positive and finite")

    def grid(self, t0: float, t_end: float) -> Iterator[float]:
        """The ends of the steps from t0 to t_end."""
        dt = math.copysign(self.dt, t_end - t0)
        sign, slack = math.copysign(1.0, dt), SAME_TIME * self.dt
        for i in itertools.count(1):
            t1 = t0 + i * dt  # not a running sum, whose rounding errors would add up
            if sign * (t_end - t1) <= slack:
                break
            yield t1
        yield t_end


@dataclass(frozen=True)
class FixedGrid:
    """Steps from each of the times to the next, in either direction; the ends of the solve are added.

    one_sided: f jumps at these times. The solver restarts at each step and calls f only inside the step, so that it
    sees the one-sided limits of f.
    """

    times: tuple[float, ...]
    one_sided: bool = False

    adaptive = False

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.times)):
            raise CallError("FixedGrid: a time is not finite: the ends of steps are finite numbers")

    def grid(self, t0: float, t_end: float) -> Iterator[float]:
        """The ends of the steps from t0 to t_end."""
        yield from between(self.times, t0, t_end)
        yield t_end


def between(times: tuple[float, ...], t0: float, t_end: float) -> list[float]:
    """The times between t0 and t_end, sorted in the direction from t0 to t_end."""
    return sorted({t for t in times if min(t0, t_end) < t < max(t0, t_end)}, reverse=t_end < t0)


@dataclass(frozen=True, kw_only=True)
class PIDController:
    """Accepts a step if its error is within atol + rtol max(|y0|, |y1|) and sizes the next by Soderlind's filter.

    dt_next = dt safety r_n^(-(P+I+D)/k) r_(n-1)^((P+2D)/k) r_(n-2)^(-D/k), with r the error over the tolerance,
    k the order of the error estimate and (P, I, D) the coefficients; the default is the elementary I controller.
    Soderlind (2003), "Digital filters in adaptive time-stepping", ACM Trans. Math. Softw. 29(1), 1-26.

    rtol, atol: floats, or tensors that broadcast against the state; for a tuple of states also tuples of these.
    first_step: the size of the first step; None for Hairer's choice, from the scales of y and f.
    min_step: a step of this size or less is accepted whatever its error; with 0 the solve ends as dt_underflow instead.
    step_t: times that steps must end at. jump_t: times at which f jumps: steps end there too, and see the one-sided
    limits of f.
    """

    rtol: Tolerance
    atol: Tolerance
    safety: float = 0.9
    factor_min: float = 0.2
    factor_max: float = 10.0
    coefficients: tuple[float, float, float] = (0.0, 1.0, 0.0)
    first_step: float | None = None
    min_step: float = 0.0
    max_step: float = math.inf
    step_t: tuple[float, ...] = ()
    jump_t: tuple[float, ...] = ()
    norm: Norm = rms_norm

    adaptive = True

    def __post_init__(self) -> None:
        if not isinstance(self.rtol, tuple) and not isinstance(self.atol, tuple):
            lowest = [torch.as_tensor(x, device="cpu").min().item() for x in (self.rtol, self.atol)]
            if not (min(lowest) >= 0 and sum(lowest) > 0):
                raise CallError(
                    f"PIDController: rtol={self.rtol!r}, atol={self.atol!r}: neither may be negative, nor both zero"
                )
        if not 0 < self.safety <= 1:
            raise CallError(f"PIDController: safety is {self.safety!r} and must lie in (0, 1]")
        if not 0 < self.factor_min < 1 < self.factor_max:
            raise CallError(
                f"PIDController: factor_min={self.factor_min!r}, factor_max={self.factor_max!r}: "
                "0 < factor_min < 1 < factor_max is needed"
            )
        if len(self.coefficients) != 3 or not all(map(math.isfinite, self.coefficients)):
            raise CallError(
                f"PIDController: coefficients is {self.coefficients!r} and must be three finite numbers (P, I, D)"
            )
        if self.first_step is not None and not self.first_step > 0:
            raise CallError(f"PIDController: first_step is {self.first_step!r} and must be positive")
        if not 0 <= self.min_step <= self.max_step or self.max_step == 0:
            raise CallError(
                f"PIDController: min_step={self.min_step!r}, max_step={self.max_step!r}: "
                "0 <= min_step <= max_step and 0 < max_step are needed"
            )
        if not all(map(math.isfinite, (*self.step_t, *self.jump_t))):
            raise CallError("PIDController: step_t or jump_t has an entry that is not finite: they are times")

    def error_ratio(self, error: Tensor, y0: Tensor, y1: Tensor) -> Tensor | float:
        """The norm of the error estimate over the tolerance; for a vector the only synchronisation of a step."""
        return self.norm(error / self.scale(torch.maximum(y0.abs(), y1.abs())))

    def judge(self, ratio: float, dt: float, memory: tuple[float, float], error_order: int) -> Verdict:
        """Accept or reject a step of size dt by its error ratio, and choose the size of the next one."""
        if not math.isfinite(ratio):
            return Verdict(False, dt * self.factor_min, memory)
        accepted = ratio <= 1.0 or abs(dt) <= self.min_step * (1 + SAME_TIME)
        least, most = self.factor_limits(accepted)
        try:
            factor = self.filtered(ratio, memory, error_order) if ratio > 0 else math.inf
        except OverflowError:  # the error is next to none
            factor = math.inf
        size = abs(dt) * min(most, max(least, factor))
        size = min(self.max_step, max(self.min_step, size))
        return Verdict(accepted, math.copysign(size, dt), (max(ratio, LEAST_MEMORY), memory[0]) if accepted else memory)

    def filtered(self, ratio: R, memory: tuple[R, R], error_order: int) -> R:
        """The factor from this step's size to the next one's by the filter, before its limits, for error ratios > 0.

        The numbers are those of one step, or arrays with an entry a sample.
        """
        p, i, d = self.coefficients
        factor: R = self.safety * ratio ** (-(p + i + d) / error_order)
        if self.remembers:
            before, earlier = memory
            factor = factor * before ** ((p + 2 * d) / error_order) * earlier ** (-d / error_order)
        return factor

    @property
    def remembers(self) -> bool:
        """Whether the filter depends on the errors of earlier steps."""
        p, _, d = self.coefficients
        return p != 0.0 or d != 0.0

    def factor_limits(self, accepted: bool) -> tuple[float, float]:
        """The least and the largest factor from an accepted or a rejected step's size to the next one's.

        After an accepted step the size does not shrink: the filter's noise would only cost steps. After a rejected one
        it always shrinks: with D > 0 the filter may ask for the same step, or a larger one, forever.
        """
        return (1.0, self.factor_max) if accepted else (self.factor_min, self.safety)

    def scale(self, size: Tensor) -> Tensor:
        """The tolerance atol + rtol size for entries of this size."""
        rtol, atol = self.rtol, self.atol
        if isinstance(rtol, tuple) or isinstance(atol, tuple):
            raise CallError("rtol or atol is a tuple: solve with the tuple of states that it is for")
        if isinstance(rtol, Tensor) or isinstance(atol, Tensor):
            scale = size * rtol + atol
        else:
            scale = torch.add(_constant(atol, size.dtype, size.device), size, alpha=rtol)
            if atol > 0:
                return scale
        # With atol = 0 an entry that stays at zero has error 0 and tolerance 0: 0/0 would end the solve.
        return scale.clamp_(min=torch.finfo(scale.dtype).tiny)

    def initial_dt(self, f: RightHandSide, t0: float, t1: float, y0: Tensor, f0: Tensor, error_order: int) -> float:
        """The signed size of the first step, at the cost of one evaluation: Hairer, Norsett & Wanner (1993), II.4."""
        direction = math.copysign(1.0, t1 - t0)
        if self.first_step is not None:
            return direction * min(self.max_step, self.first_step)
        scale = self.scale(y0.abs())
        d0, d1 = float(self.norm(y0 / scale)), float(self.norm(f0 / scale))
        well_scaled = d0 >= 1e-5 and d1 >= 1e-5 and math.isfinite(d0 + d1)
        h0 = min(0.01 * d0 / d1 if well_scaled else 1e-6, abs(t1 - t0))
        f1 = f(t0 + direction * h0, torch.add(y0, f0, alpha=direction * h0))
        d2 = float(self.norm((f1 - f0) / scale)) / h0
        steepest = max(d1, d2)
        if not math.isfinite(steepest):
            return direction * h0  # the first step will be rejected; the solve ends if no smaller one is accepted
        h1 = max(1e-6, h0 * 1e-3) if steepest <= 1e-15 else (0.01 / steepest) ** (1.0 / error_order)
        return direction * min(self.max_step, max(self.min_step, min(100 * h0, h1)))


@made_once(256)
def _constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.scalar_tensor(value, dtype=dtype, device=device)


Controller = FixedStep | FixedGrid | PIDController

# Soderlind's filters: the coefficients (P, I, D) by the names in his table 1, for PIDController(coefficients=...).
COEFFICIENTS = {
    "I": (0.0, 1.0, 0.0),
    "PI34": (0.4, 0.3, 0.0),
    "PI33": (1 / 3, 1 / 3, 0.0),
    "PI42": (0.2, 0.4, 0.0),
    "H211PI": (-1 / 6, 1 / 3, 0.0),
    "H312PID": (-2 / 9, 2 / 9, 1 / 18),
}
