"""Step size control: pure functions of the error estimate and the controller's memory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from node.vector_field import FlatField

Norm = Callable[[Tensor], Tensor | float]  # 0-dimensional if a tensor


def rms_norm(x: Tensor) -> float:
    """Root mean square, Hairer, Norsett & Wanner (1993), eq. II.4.11. x: any shape. It waits for the device."""
    return torch.linalg.vector_norm(x).item() / math.sqrt(max(1, x.numel()))


class Verdict(NamedTuple):
    """What a controller says of a step."""

    accepted: bool
    dt: float  # of the next step, signed as this one
    memory: tuple[float, float]  # error ratios of the last two accepted steps
    error_ratio: float  # error over tolerance: NaN or infinite when the step was


@dataclass(frozen=True)
class FixedStep:
    """Steps of one size dt > 0 from t0; the last one is shortened to land on the end time."""

    dt: float

    adaptive = False

    def __post_init__(self) -> None:
        if not (self.dt > 0 and math.isfinite(self.dt)):
            raise ValueError(f"FixedStep: dt is {self.dt!r} and must be positive and finite")


@dataclass(frozen=True, kw_only=True)
class PIDController:
    """Accepts a step whose error is within atol + rtol max(|y0|, |y1|) and sizes the next by Soderlind's filter.

    dt_next = dt safety r_n^(-(P+I+D)/k) r_(n-1)^((P+2D)/k) r_(n-2)^(-D/k), with r the error over the tolerance,
    k the order of the error estimate and (P, I, D) the coefficients; the default is the elementary I controller.
    Soderlind (2003), "Digital filters in adaptive time-stepping", ACM Trans. Math. Softw. 29(1), 1-26.
    """

    rtol: float
    atol: float
    safety: float = 0.9
    factor_min: float = 0.2
    factor_max: float = 10.0
    coefficients: tuple[float, float, float] = (0.0, 1.0, 0.0)
    first_step: float | None = None  # None: chosen from the scale of f
    norm: Norm = rms_norm

    adaptive = True

    def __post_init__(self) -> None:
        if not (self.rtol >= 0 and self.atol >= 0 and self.rtol + self.atol > 0):
            raise ValueError(
                f"PIDController: rtol={self.rtol!r}, atol={self.atol!r}: neither may be negative, nor both zero"
            )
        if not 0 < self.safety <= 1:
            raise ValueError(f"PIDController: safety is {self.safety!r} and must lie in (0, 1]")
        if not 0 < self.factor_min < 1 < self.factor_max:
            raise ValueError(
                f"PIDController: factor_min={self.factor_min!r}, factor_max={self.factor_max!r}: "
                "0 < factor_min < 1 < factor_max is needed"
            )
        if self.first_step is not None and not self.first_step > 0:
            raise ValueError(f"PIDController: first_step is {self.first_step!r} and must be positive")

    def error_ratio(self, error: Tensor, y0: Tensor, y1: Tensor) -> float:
        """Norm of the error estimate over the tolerance; the one synchronisation of a step."""
        scale = self._scale(torch.maximum(y0.abs(), y1.abs()))
        return float(self.norm(error / scale))

    def judge(self, ratio: float, dt: float, memory: tuple[float, float], error_order: int) -> Verdict:
        """Accept or reject a step of size dt by its error ratio, and size the next."""
        if not math.isfinite(ratio):
            return Verdict(False, dt * self.factor_min, memory, ratio)
        accepted = ratio <= 1.0
        factor = self._factor(ratio, memory, error_order) if ratio > 0 else self.factor_max
        # An accepted step is not followed by a smaller one: the filter's noise would only cost steps. A rejected one
        # is, whatever the filter remembers: with D > 0 it may ask for the same step, or a larger one, for ever.
        least, most = (1.0, self.factor_max) if accepted else (self.factor_min, self.safety)
        factor = min(most, max(least, factor))
        return Verdict(accepted, dt * factor, (ratio, memory[0]) if accepted else memory, ratio)

    def _scale(self, size: Tensor) -> Tensor:
        scale = size.mul_(self.rtol).add_(self.atol)
        # With atol = 0 an entry that rests at zero has error 0 and tolerance 0: 0/0 would end the solve.
        return scale if self.atol > 0 else scale.clamp_(min=torch.finfo(scale.dtype).tiny)

    def _factor(self, ratio: float, memory: tuple[float, float], error_order: int) -> float:
        p, i, d = self.coefficients
        previous, before = (max(r, 1e-10) for r in memory)
        filtered = ratio ** -(p + i + d) * previous ** (p + 2 * d) * before**-d
        return self.safety * filtered ** (1.0 / error_order)

    def initial_dt(self, f: FlatField, t0: float, t1: float, y0: Tensor, f0: Tensor, error_order: int) -> float:
        """Size of the first step, signed, at the cost of one evaluation: Hairer, Norsett & Wanner (1993), II.4."""
        direction = math.copysign(1.0, t1 - t0)
        if self.first_step is not None:
            return direction * self.first_step
        scale = self._scale(y0.abs())
        d0, d1 = float(self.norm(y0 / scale)), float(self.norm(f0 / scale))
        well_scaled = d0 >= 1e-5 and d1 >= 1e-5 and math.isfinite(d0 + d1)
        h0 = min(0.01 * d0 / d1 if well_scaled else 1e-6, abs(t1 - t0))
        f1 = f(t0 + direction * h0, torch.add(y0, f0, alpha=direction * h0))
        d2 = float(self.norm((f1 - f0) / scale)) / h0
        steepest = max(d1, d2)
        if not math.isfinite(steepest):
            return direction * h0  # the first step will be rejected, and end the solve if nothing smaller helps
        h1 = max(1e-6, h0 * 1e-3) if steepest <= 1e-15 else (0.01 / steepest) ** (1.0 / error_order)
        return direction * min(100 * h0, h1)


Controller = FixedStep | PIDController
