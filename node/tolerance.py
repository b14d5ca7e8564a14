"""Tolerances in the flat layout of the state, and warnings about the resolution of the dtypes of y0 and t."""

import math
import warnings
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from node.controller import Controller, PIDController, Tolerance
from node.errors import CallError
from node.layout import State, layout_of


def with_flat_tolerances(controller: Controller, y0: State, *, samples: bool = False) -> Controller:
    """The controller with flat tolerances in the state's layout; warns of tolerances that y0's dtype cannot keep."""
    if not isinstance(controller, PIDController):
        return controller
    _warn_below_resolution(controller, y0)
    if isinstance(controller.rtol, float | int) and isinstance(controller.atol, float | int):
        return controller
    return replace(
        controller, rtol=_flat("rtol", controller.rtol, y0, samples), atol=_flat("atol", controller.atol, y0, samples)
    )


def _flat(name: str, tolerance: Tolerance, y0: State, samples: bool) -> Tensor:
    parts = y0 if isinstance(y0, tuple) else (y0,)
    given = tolerance if isinstance(tolerance, tuple) else (tolerance,) * len(parts)
    if len(given) != len(parts):
        raise CallError(f"{name} has {len(given)} entries for a state of {len(parts)} tensors: give one for each")
    real = layout_of(y0).dtype.to_real()
    try:
        return torch.cat(
            [
                torch.as_tensor(x, dtype=real, device=part.device)
                .expand(part.shape)
                .reshape(layout_of(part, samples=samples).flat_shape)
                for x, part in zip(given, parts, strict=True)
            ],
            dim=-1,
        )
    except RuntimeError:
        shapes = [tuple(torch.as_tensor(x).shape) for x in given]
        raise CallError(
            f"{name} has shape {shapes} and must broadcast against the state's {[tuple(p.shape) for p in parts]}"
        ) from None


def _warn_below_resolution(controller: PIDController, y0: State) -> None:
    """Warn of tolerances below the rounding of y, where the error estimate is noise and steps shrink without end."""
    rtol, atol = controller.rtol, controller.atol
    if not (isinstance(rtol, float | int) and isinstance(atol, float | int)):
        return
    for part in y0 if isinstance(y0, tuple) else (y0,):
        resolution = torch.finfo(part.dtype).eps
        if rtol < resolution and atol < resolution * float(part.detach().abs().max()):
            warnings.warn(
                f"rtol={rtol:g}, atol={atol:g} are below the resolution of {part.dtype}, {resolution:.2g}: "
                "steps are rejected for rounding errors; loosen them or take float64",
                RuntimeWarning,
                stacklevel=4,
            )
            return


def warn_of_coarse_time(ends: Iterable[tuple[float, float]], given: torch.dtype, called: torch.dtype) -> None:
    """Warn of times far from zero, where floats are far apart and f gets its time rounded.

    ends: the first and the last time of the solve, or of each sample. given: the dtype of t. called: the dtype of the
    times that f gets. For times near zero there is no warning, whatever their dtype, as the user chose it.
    """
    coarsest = given if torch.finfo(given).eps > torch.finfo(called).eps else called
    eps = torch.finfo(coarsest).eps
    for start, end in ends:
        span, largest = abs(end - start), max(abs(start), abs(end))
        if largest <= 10 * span or span == 0.0:
            continue
        spacing = eps * 2.0 ** (math.frexp(largest)[1] - 1)
        if spacing > 1e-4 * span:
            warnings.warn(
                f"t reaches {largest:g}, where {coarsest} knows times {spacing:.2g} apart, for a solve over {span:g}: "
                "f sees them rounded; count t from the start of the solve, or take y0 and t in float64",
                RuntimeWarning,
                stacklevel=3,
            )
            return
