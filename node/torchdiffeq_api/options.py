"""The options of torchdiffeq's methods: names, defaults and what they are in `node`'s terms."""

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

LEAST_FACTOR = 1e-3  # by which a step shrinks at once: with none, one that is not finite would end the solve
HIGHEST_ORDER = 9  # of an Adams method: of its first steps' methods dopri8 has the highest order

Number = float | Tensor  # a tensor of one entry
Times = Tensor | Sequence[float]
UserNorm = Callable[[Any], Tensor | float]
GridConstructor = Callable[[Any, Any, Tensor], Tensor]
Options = TypeVar("Options", bound="AdaptiveOptions | FixedOptions | ScipyOptions")


def read(options: Mapping[str, Any] | None, kind: type[Options], method: str) -> Options:
    """The options as a value of their kind; one that the method does not have is warned of and left out."""
    options = options or {}
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            warnings.warn(f"{unknown(f'option of {method}', name, known)}: it is left out", stacklevel=4)
    return kind(**{name: value for name, value in options.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class AdaptiveOptions:
    """The options of dopri5, dopri8, tsit5, bosh3, fehlberg2 and adaptive_heun.

    norm: of the error over the tolerance; called with a tensor of y0's shape, or a tuple where y0 is one. A string,
    "seminorm", in adjoint_options only.
    dtype: of the times that callbacks get; the clock of a solve is always float64.
    ifactor, dfactor: the most and the least by which a step size changes at once; a rejected step's shrinks, whatever
    they are, and an accepted one's does not.
    max_num_steps: between two outputs, in the mean: the limit of a whole solve is so many for each of its intervals.
    None is 2^31 - 1, and 1 000 000 in the search for an event.
    step_t, jump_t: times that steps end at; f jumps at those of jump_t, and is evaluated on either side.
    min_step: a step as small as this is accepted whatever its error. max_step: the limit, min_step's too.
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
        """The controller; `norm` is of flat states."""
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
    interp: "linear" or "cubic", between the ends of steps.
    perturb: evaluate f at the ends of a step with its limits from inside.
    norm: of no effect, as no step is rejected.
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
        """The controller of solves over each of the spans, which are given by their output times."""
        if self.step_size is not None:
            return FixedStep(float(self.step_size), one_sided=self.perturb)
        grids = spans
        if self.grid_constructor is not None:
            grids = [_checked_grid(self.grid_constructor(func, y0, span), span) for span in spans]
        return FixedGrid(tuple(t for grid in grids for t in grid.detach().tolist()), one_sided=self.perturb)


@dataclass(frozen=True, kw_only=True)
class AdamsOptions(FixedOptions):
    """The options of explicit_adams and implicit_adams.

    max_order: the order, of which more than 9 is 9; its first steps are a Runge-Kutta method's of nearly that order.
    max_iters: the corrector is applied once, which no limit forbids.
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

    solver: the method of scipy.integrate.solve_ivp. norm: of no effect, SciPy has its own.
    """

    solver: str = "LSODA"
    min_step: Number = 0.0
    max_step: Number = math.inf
    norm: UserNorm | str | None = None


def _times(times: Times | None) -> tuple[float, ...]:
    if times is None:
        return ()
    every = torch.as_tensor(times, dtype=torch.float64).detach().reshape(-1)
    return tuple(every[~every.isinf()].tolist())  # no step gets to infinity


def _checked_grid(grid: Tensor, t: Tensor) -> Tensor:
    ends = [grid[0].item(), grid[-1].item()]
    if ends != [t[0].item(), t[-1].item()]:
        raise CallError(
            f"grid_constructor gives a grid from {ends[0]!r} to {ends[1]!r}: "
            f"it must go from t[0]={t[0].item()!r} to t[-1]={t[-1].item()!r}"
        )
    return grid
