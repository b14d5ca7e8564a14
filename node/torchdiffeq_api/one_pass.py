"""The settings of one pass, forwards or backwards: torchdiffeq's arguments in the terms of `node`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.controller import Controller, Norm, PIDController, Tolerance
from node.errors import CallError
from node.layout import State, layout_of
from node.registry import unknown
from node.solvers import SOLVERS, Solver
from node.torchdiffeq_api.callbacks import OF_ADAPTIVE, OF_FIXED
from node.torchdiffeq_api.linear_output import LinearOutput
from node.torchdiffeq_api.methods import ADAMS, ADAPTIVE, FIXED, METHODS
from node.torchdiffeq_api.options import AdamsOptions, AdaptiveOptions, FixedOptions, ScipyOptions, read
from node.torchdiffeq_api.scipy_solver import SolveIvp

Options = AdaptiveOptions | FixedOptions | AdamsOptions | ScipyOptions


@dataclass(frozen=True)
class Pass:
    """A solver, its controller and its limit of steps between two outputs (None if no limit is given).

    callbacks: the names of the callbacks that it calls. time_dtype: the dtype of the times that they get.
    """

    solver: Solver
    controller: Controller
    max_steps: int | None
    callbacks: Collection[str]
    time_dtype: torch.dtype


def read_options(method: str | None, options: Mapping[str, Any] | None) -> tuple[str, Options]:
    """The method's name, by default dopri5, and its options."""
    name = "dopri5" if method is None else method
    if name not in METHODS:
        raise CallError(unknown("method", name, METHODS))
    kind: type[Options] = ScipyOptions
    if name in ADAPTIVE:
        kind = AdaptiveOptions
    elif name in FIXED:
        kind = FixedOptions
    elif name in ADAMS:
        kind = AdamsOptions
    return name, read(options, kind, name)


def one_pass(
    method: str,
    options: Options,
    func: Any,
    y0: State,
    spans: Sequence[Tensor],
    *,
    rtol: Any,
    atol: Any,
    norm: Norm,
) -> Pass | SolveIvp:
    """The settings of a pass over each of the spans, given by their output times. norm: a norm of flat states."""
    if isinstance(options, FixedOptions):
        grid = options.controller(func, y0, spans)
        return Pass(_fixed_solver(method, options), grid, None, OF_FIXED, spans[0].dtype)
    rtol, atol = _tolerance("rtol", rtol, y0), _tolerance("atol", atol, y0)
    if isinstance(options, ScipyOptions):
        limits = {"min_step": float(options.min_step), "max_step": float(options.max_step)}
        return SolveIvp(options.solver, PIDController(rtol=rtol, atol=atol), **limits)
    time_dtype = torch.promote_types(options.dtype, layout_of(y0).dtype.to_real())
    controller = options.controller(rtol, atol, norm)
    return Pass(ADAPTIVE[method], controller, options.max_num_steps, OF_ADAPTIVE, time_dtype)


def _fixed_solver(method: str, options: FixedOptions) -> Solver:
    if isinstance(options, AdamsOptions):
        solver: Solver = ADAMS[method](options.order, starter=_starter(options.order))
    else:
        solver = FIXED[method]
    return LinearOutput(solver) if options.interp == "linear" else solver


def _starter(order: int) -> Any:
    """The method with the fewest stages for the first steps of an Adams method of this order."""
    return next(SOLVERS[name] for name in ("rk4_38", "dopri5", "dopri8") if SOLVERS[name].order >= order - 1)


def _tolerance(name: str, tolerance: Any, y0: State) -> Tolerance:
    """The tolerance in the form that `node` takes.

    For a tuple of states an iterable has an entry for each tensor: a number, or one number for each of its elements.
    """
    if isinstance(tolerance, Tensor) and tolerance.requires_grad:
        raise CallError(f"{name} requires grad and has none: pass {name}.detach()")
    if not isinstance(tolerance, Iterable) or (isinstance(tolerance, Tensor) and tolerance.dim() == 0):
        return tolerance if isinstance(tolerance, Tensor) else float(tolerance)
    if isinstance(y0, Tensor):
        return torch.as_tensor(tolerance)
    given = tuple(map(torch.as_tensor, tolerance))
    if len(given) != len(y0):
        raise CallError(f"{name} has {len(given)} entries for a state of {len(y0)} tensors: give one for each")
    return tuple(
        entry.view(part.shape) if entry.shape == (part.numel(),) else entry
        for entry, part in zip(given, y0, strict=True)
    )
