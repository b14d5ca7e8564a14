"""The options of torchdiffeq's methods: names, defaults and their translation to `node`'s controllers."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from node.controller import FixedGrid, FixedStep, Norm, PIDController, Tolerance
from node.errors import CallError, CallTypeError
from node.registry import unknown

LEAST_FACTOR = 1e-3  # the limit of shrinking at once: with factor 0 a step that is not finite would end the solve
HIGHEST_ORDER = 9  # of an Adams method: dopri8, of order 8, is the highest method for its first steps

Number = float | Tensor  # a tensor of one entry
Times = Tensor | Sequence[float]
UserNorm = Callable[[Any], Tensor | float]
GridConstructor = Callable[[Any, Any, Tensor], Tensor]
Options = TypeVar("Options", bound="AdaptiveOptions | FixedOptions | ScipyOptions")


def read(options: Mapping[str, Any] | None, kind: type[Options], method: str) -> Options:
    """The options as an object of their kind; an option that the method does not have is dropped with a warning."""
    options = options or {}
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            warnings.warn(f"{unknown(f'option of {method}', name, known)}: it is left out", stacklevel=4)
    return kind(**{name: value for name, value in options.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class AdaptiveOptions:
    """The options of dopri5, dopri8, tsit5, bosh3, fehlberg2 and adaptive_heun.

    norm: the norm of the error over the tolerance; called with a tensor of y0's shape, or a tuple if y0 is one. The
    string "seminorm" is for adjoint_options only.
    dtype: the dtype of the times that callbacks get; the solve itself always keeps time in float64.
    ifactor, dfactor: the largest and the smallest factor between step sizes; after a rejected step the size always
    shrinks, and after an accepted one it never does.
    max_num_steps: the mean number of steps between two outputs: the limit of a whole solve is this for each interval.
    None stands for 2^31 - 1, and for 1 000 000 in the search for an event.
    step_t, jump_t: times that steps end at; f jumps at those of jump_t, and is evaluated on both sides of them.
    min_step: a step of this size or less is accepted whatever its error. max_step: the largest step, also for min_step.
    """

    norm: UserNorm | str | None = None
    dtype: torch.dtype = torch.float64
    first_step: Number | None = None
    safety: Number = 0.9
    ifactor: Number = 10.0
    dfactor: Number = 0.2
    max_num_steps: int | None = None
    step_t: Times | None = None
    jump_t: Times | None = None
    min_step: Number = 0.0
    max_step: Number = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.dtype, torch.dtype):
            raise CallTypeError(
                f"option dtype is {self.dtype!r}: pass a torch dtype of floats, the times' of callbacks"
            )
        if not self.dtype.is_floating_point:
            raise CallError(f"option dtype is {self.dtype!r}: pass a torch dtype of floats, the times' of callbacks")
        if not (self.dfactor <= 1 and self.ifactor > 0):
            raise CallError(
                f"options dfactor={self.dfactor!r}, ifactor={self.ifactor!r}: dfactor <= 1 and ifactor > 0 are needed"
            )
        if self.max_num_steps is not None and self.max_num_steps < 1:
            raise CallError(f"option max_num_steps is {self.max_num_steps!r} and must be 1 or more")

    def controller(self, rtol: Tolerance, atol: Tolerance, norm: Norm) -> PIDController:
        """The controller with these options; norm: a norm of flat states."""
        most = float(self.max_step)
        least = min(float(self.min_step), most)
        return PIDController(
            rtol=rtol,
            atol=atol,
            safety=float(self.safety),
            factor_min=min(max(float(self.dfactor), LEAST_FACTOR), math.nextafter(1, 0)),
            factor_max=max(float(self.ifactor), math.nextafter(1, 2)),
            first_step=None if self.first_step is None else min(most, max(least, float(self.first_step))),
            min_step=least,
            max_step=most,
            step_t=_times(self.step_t),
            jump_t=_times(self.jump_t),
            norm=norm,
        )


@dataclass(frozen=True, kw_only=True)
class FixedOptions:
    """The options of euler, midpoint, heun2, heun3 and rk4.

    step_size: None for steps from output to output, or on the grid that grid_constructor(func, y0, t) gives.
    interp: "linear" or "cubic" interpolation within steps.
    perturb: whether f is evaluated inside the step at its ends, to get its one-sided limits.
    norm: without effect, as no step is rejected.
    """

    step_size: Number | None = None
    grid_constructor: GridConstructor | None = None
    perturb: bool = False
    interp: str = "linear"
    norm: UserNorm | str | None = None

    def __post_init__(self) -> None:
        if self.step_size is not None and self.grid_constructor is not None:
            raise CallError("options step_size and grid_constructor are both given and exclude each other: drop one")
        if self.interp not in ("linear", "cubic"):
            raise CallError(unknown("option interp", str(self.interp), ("linear", "cubic")))

    def controller(self, func: Any, y0: Any, spans: Sequence[Tensor]) -> FixedStep | FixedGrid:
        """The controller for solves over each of the spans, which are given by their output times."""
        if self.step_size is not None:
            return FixedStep(float(self.step_size), one_sided=self.perturb)
        grids = spans
        if self.grid_constructor is not None:
            grids = [_checked_grid(self.grid_constructor(func, y0, span), span) for span in spans]
        return FixedGrid(tuple(t for grid in grids for t in grid.detach().tolist()), one_sided=self.perturb)


@dataclass(frozen=True, kw_only=True)
class AdamsOptions(FixedOptions):
    """The options of explicit_adams and implicit_adams.

    max_order: the order, at most 9; the first steps are those of a Runge-Kutta method of nearly that order.
    max_iters: without effect, as the corrector is applied once.
    """

    max_order: int = 4
    max_iters: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.max_order <= 12:
            raise CallError(f"option max_order is {self.max_order!r} and must lie in 1, ..., 12")
        if self.max_iters < 1:
            raise CallError(f"option max_iters is {self.max_iters!r} and must be 1 or more")

    @property
    def order(self) -> int:
        """The order of the method."""
        return min(int(self.max_order), HIGHEST_ORDER)


@dataclass(frozen=True, kw_only=True)
class ScipyOptions:
    """The options of scipy_solver.

    solver: the method of scipy.integrate.solve_ivp. norm: without effect, as SciPy has its own.
    """

    solver: str = "LSODA"
    min_step: Number = 0.0
    max_step: Number = math.inf
    norm: UserNorm | str | None = None


def _times(times: Times | None) -> tuple[float, ...]:
    if times is None:
        return ()
    every = torch.as_tensor(times, dtype=torch.float64).detach().reshape(-1)
    return tuple(every[~every.isinf()].tolist())  # no step reaches infinity


def _checked_grid(grid: Tensor, t: Tensor) -> Tensor:
    ends = [grid[0].item(), grid[-1].item()]
    if ends != [t[0].item(), t[-1].item()]:
        raise CallError(
            f"grid_constructor gives a grid from {ends[0]!r} to {ends[1]!r}: "
            f"it must go from t[0]={t[0].item()!r} to t[-1]={t[-1].item()!r}"
        )
    return grid
