"""Step size control with a separate step size for each sample."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from node.controller import LEAST_MEMORY, SAME_TIME, FixedGrid, FixedStep, PIDController
from node.errors import CallError
from node.per_sample.clock import Bools, Floats, Ints, SampleClock
from node.per_sample.columns import column
from node.solvers.base import Solver, Step
from node.vector_field import RightHandSide

Memory = tuple[Floats, Floats] | None  # error ratios of the last two accepted steps; None if the filter needs none


class Verdicts(NamedTuple):
    """The controller's decisions on every sample's step: (B,) each."""

    accepted: Bools
    finite: Bools  # whether the step is finite
    dt: Floats  # the sizes of the next steps
    all_accepted: bool


class StepControl(ABC):
    """The choice of the ends of the samples' steps, and of their acceptance."""

    stops: Sequence[float] = ()
    jumps: Sequence[float] = ()
    one_sided = False  # whether every step is restarted, and calls f inside of it only
    estimate = False  # whether it needs error estimates

    @abstractmethod
    def first_dt(self, clock: SampleClock, f: RightHandSide, y: Tensor, f0: Tensor) -> Floats:
        """The sizes of the first steps."""

    @abstractmethod
    def proposed(self, clock: SampleClock, step: int) -> Floats:
        """The ends of the step of this number, without regard to outputs and stops."""

    @abstractmethod
    def restart(self, here: Bools, clock: SampleClock, step: int) -> None:
        """Record that these samples restart from their current times, after the step of this number."""

    @abstractmethod
    def judge(self, clock: SampleClock, y: Tensor, step: Step, dt: Floats) -> Verdicts:
        """Accept or reject every sample's step of size dt from y: the only synchronisation of a step."""


class FixedStepControl(StepControl):
    """The steps of a grid: every finite step is accepted."""

    def __init__(self, controller: FixedStep | FixedGrid) -> None:
        self._controller = controller
        self.one_sided = controller.one_sided
        self.stops = controller.times if isinstance(controller, FixedGrid) else ()
        self._restart: tuple[Floats, Ints] | None = None  # the time of each sample's last restart, and the step before

    @override
    def first_dt(self, clock: SampleClock, f: RightHandSide, y: Tensor, f0: Tensor) -> Floats:
        """The current sizes, which the grid does not use."""
        return clock.dt

    def proposed(self, clock: SampleClock, step: int) -> Floats:
        """The ends of the step in the grid, computed without a running sum of dt's."""
        controller = self._controller
        if isinstance(controller, FixedGrid):
            return np.where(clock.alive, clock.stop, clock.t)
        start, before = (clock.start, 0) if self._restart is None else self._restart
        return np.where(clock.alive, start + (step - before) * controller.dt, clock.t)

    def restart(self, here: Bools, clock: SampleClock, step: int) -> None:
        """Restart the grid of these samples at their current times."""
        start, before = self._restart or (clock.start, np.zeros(len(here), dtype=np.int64))
        self._restart = np.where(here, clock.t, start), np.where(here, step, before)

    @override
    def judge(self, clock: SampleClock, y: Tensor, step: Step, dt: Floats) -> Verdicts:
        """Accept every finite step; the next dt is zero, as another try of the same step would not be finite either."""
        finite = torch.isfinite(step.y1.detach()).all(dim=1).cpu().numpy()
        return Verdicts(finite, finite, np.zeros_like(dt), bool(finite.all()))


class AdaptiveStepControl(StepControl):
    """The steps of a PIDController."""

    estimate = True

    def __init__(self, controller: PIDController, solver: Solver, samples: int) -> None:
        self._controller = controller
        self._order = solver.error_order or solver.order
        self._memory: Memory = (np.ones(samples), np.ones(samples)) if controller.remembers else None
        self.jumps = controller.jump_t
        self.stops = (*controller.step_t, *controller.jump_t)

    def first_dt(self, clock: SampleClock, f: RightHandSide, y: Tensor, f0: Tensor) -> Floats:
        """The given first step size, or Hairer's choice."""
        return initial_dts(self._controller, f, clock, y, f0, self._order)

    @override
    def proposed(self, clock: SampleClock, step: int) -> Floats:
        """The ends of steps of the sizes that the last errors ask for."""
        return clock.t + clock.dt

    def restart(self, here: Bools, clock: SampleClock, step: int) -> None:
        """Do nothing: samples restart with their current step sizes."""

    def judge(self, clock: SampleClock, y: Tensor, step: Step, dt: Floats) -> Verdicts:
        """Judge by the error over the tolerance; a shortened step is no reason to reduce the size that was wanted."""
        if step.error is None:
            raise CallError("this step gives no error estimate: pass controller=FixedStep(dt=...)")
        ratio = as_numpy(self._controller.error_ratio(step.error.detach(), y.detach(), step.y1.detach()), (len(y),))
        verdicts, self._memory = judge(self._controller, ratio, dt, self._memory, self._order)
        size = np.maximum(verdicts.dt, clock.dt)
        if not verdicts.all_accepted:
            size = np.where(verdicts.accepted, size, verdicts.dt)
        if self._controller.min_step > 0:
            size = size * clock.alive
        return verdicts._replace(dt=size)


def judge(
    controller: PIDController, ratio: Floats, dt: Floats, memory: Memory, error_order: int
) -> tuple[Verdicts, Memory]:
    """`PIDController.judge` for every sample: ratio, dt >= 0 and the entries of the memory are (B,)."""
    finite = ratio < math.inf  # False for NaN
    accepted = ratio <= 1.0
    if controller.min_step > 0:
        accepted |= (dt <= controller.min_step * (1 + SAME_TIME)) & finite
    all_accepted = bool(accepted.all())
    with np.errstate(all="ignore"):  # ratios of 0, NaN and infinity: their factors are replaced below
        factor = controller.filtered(ratio, memory or (ratio, ratio), error_order)
    if memory is not None or sum(controller.coefficients) <= 0.0:  # else the power of 0 is infinity already
        factor = np.where(ratio > 0.0, factor, math.inf)
    least, most = controller.factor_limits(accepted=True)
    if all_accepted:
        size = dt * np.minimum(np.maximum(factor, least), most)
    else:
        least_rejected, most_rejected = controller.factor_limits(accepted=False)
        limited = np.maximum(factor, np.where(accepted, least, least_rejected))
        limited = np.minimum(limited, np.where(accepted, most, most_rejected))
        size = dt * np.where(finite, limited, controller.factor_min)
    if controller.min_step > 0 or controller.max_step < math.inf:
        size = np.where(finite, np.minimum(np.maximum(size, controller.min_step), controller.max_step), size)
    if memory is not None:
        remembered = np.maximum(ratio, LEAST_MEMORY)
        memory = np.where(accepted, remembered, memory[0]), np.where(accepted, memory[0], memory[1])
    return Verdicts(accepted, finite, size, all_accepted), memory


def initial_dts(
    controller: PIDController, f: RightHandSide, clock: SampleClock, y0: Tensor, f0: Tensor, error_order: int
) -> Floats:
    """`PIDController.initial_dt` for every sample, unsigned, at the cost of one evaluation. y0, f0: (B, n)."""
    if controller.first_step is not None:
        return np.full(len(y0), min(controller.max_step, controller.first_step))
    scale = controller.scale(y0.abs())
    d0, d1 = as_numpy(controller.norm(torch.stack((y0, f0)) / scale), (2, len(y0)))
    with np.errstate(all="ignore"):
        well_scaled = (d0 >= 1e-5) & (d1 >= 1e-5) & np.isfinite(d0 + d1)
        h0 = np.minimum(np.where(well_scaled, 0.01 * d0 / d1, 1e-6), clock.end - clock.t)
        f1 = f(column(clock.sign * (clock.t + h0), y0), torch.addcmul(y0, f0, column(clock.sign * h0, y0)))
        d2 = as_numpy(controller.norm((f1 - f0) / scale), (len(y0),)) / h0
        steepest = np.where(d2 > d1, d2, d1)  # as Python's max, which ignores a NaN in d2
        h1 = np.where(steepest <= 1e-15, np.maximum(1e-6, h0 * 1e-3), (0.01 / steepest) ** (1.0 / error_order))
        size = np.minimum(np.maximum(np.minimum(100 * h0, h1), controller.min_step), controller.max_step)
        found: Floats = np.where(np.isfinite(steepest), size, h0)
    return found


def as_numpy(norms: Tensor | float, shape: tuple[int, ...]) -> Floats:
    """The norms as a NumPy array of this shape, for states (*shape, n); a CallError if the norm has another shape."""
    if not isinstance(norms, Tensor) or norms.shape != shape:
        seen = tuple(norms.shape) if isinstance(norms, Tensor) else "a float"
        raise CallError(
            f"PIDController: norm gives {seen} for states {(*shape, 'n')}: with batch='independent' it must reduce the "
            "last dimension only"
        )
    return norms.detach().to("cpu", torch.float64).numpy()
