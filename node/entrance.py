"""`solve`, the single entry point of the core, with the checks of its arguments."""

import itertools
import math
from collections.abc import Iterable
from types import UnionType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from node.adjoint import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.field.dependencies import checked_parameters
from node.autocast import full_precision, with_current_autocast
from node.controller import Controller
from node.dense import DenseOutput
from node.differentiable import solve_flat, solve_to_event
from node.errors import CallError, CallTypeError
from node.event import Event
from node.layout import State, layout_of
from node.refusal import Refusal
from node.registry import choice
from node.solution import Solution, Stats
from node.solvers import SOLVERS, Solver
from node.tolerance import warn_of_coarse_time, with_flat_tolerances
from node.trajectory import Callbacks, Trajectory
from node.transforms import check_transforms, torch_errors_explained
from node.vector_field import S, VectorField

T = TypeVar("T")


def solve(
    f: VectorField[S],
    y0: S,
    t: Tensor,
    *,
    solver: str | Solver,
    controller: Controller,
    gradient: str | Adjoint = "backprop",
    parameters: Iterable[Tensor] | None = None,
    event: Event | None = None,
    dense: bool = False,
    callbacks: Callbacks | None = None,
    batch: str = "joint",
    max_steps: int = 1_000_000,
) -> Solution[S]:
    """Solve dy/dt = f(t, y), y(t[0]) = y0.

    f: called with t, a 0-dimensional tensor, and y of y0's shape; returns dy/dt of that shape.
    y0: a floating-point or complex tensor of any shape, or a tuple of such tensors.
    t: (T,), T >= 1, strictly increasing or strictly decreasing: the output times, of which t[0] is the start.
    gradient: how to differentiate the solve: a name in ADJOINTS or a value. Where t requires grad, so do the states.
    parameters: the tensors that get gradients, in the modes that need a list of them: by default the parameters of a
    module f and all tensors that a call of f at the start depends on, through closures and attributes too. Tensors that
    were computed outside of f, such as an encoder's output, are found in any case.
    event: stops the solve where it happens, at t[-1] at the latest; a sample with its own steps at its own event.
    dense: whether to give the solution as a function of time too.
    callbacks: called as the steps are taken, for progress or for state that f keeps.
    batch: "joint": one step size for all of y0. "independent": each sample, along the first dimension of y0 or of each
    of its tensors, has its own steps, as if solved alone. f is then called with t of shape (B, 1, ..., 1), and t may be
    (B, T), with separate output times for each sample.
    max_steps: the limit of accepted and rejected steps together.

    A wrong call raises CallError, a ValueError, or CallTypeError, a TypeError. A solve that stops early is a Solution
    whose status says why.
    """
    mode = ADJOINTS.named(gradient)
    method = SOLVERS.named(solver)
    if reason := mode.unsupported(method):
        raise CallError(f"gradient={mode.name!r}: {reason}")
    _check_type("controller", controller, Controller, "pass FixedStep(dt=...) or PIDController(...)")
    if controller.adaptive and not method.adaptive:
        raise CallError(f"{method.name} gives no error estimate: pass controller=FixedStep(dt=...), no tolerance")
    _check_state(y0)
    parameters = checked_parameters(parameters)
    independent = _independent(batch, y0, mode)
    check_transforms(mode, y0, t, event=event is not None, independent=independent)
    sample_times = _sample_times(t, y0) if independent else None
    layout = layout_of(y0, samples=independent)
    problem = InitialValueProblem(
        f=with_current_autocast(f, layout.device),
        y0=y0,
        layout=layout,
        times=_checked_times(t) if sample_times is None else tuple(sample_times[0].tolist()),
        solver=method,
        controller=with_flat_tolerances(controller, y0, samples=independent),
        max_steps=max_steps,
        callbacks=callbacks or Callbacks(),
        dense=dense,
        sample_times=sample_times,
    )
    ends = {(problem.times[0], problem.times[-1])} if sample_times is None else _ends(sample_times)
    warn_of_coarse_time(ends, t.dtype, layout.dtype.to_real())
    stats, point = Stats(), None
    with full_precision(layout.device), torch_errors_explained():
        if method.separable:
            _check_suited(problem, stats)
        if mode.needs_parameters and torch.is_grad_enabled():
            problem = problem.with_dependencies(mode.name, parameters, calls_once=mode.calls_once)
        if event is None:
            trajectory, y = solve_flat(mode, problem, t, stats)
        elif sample_times is None:
            trajectory, y, point = solve_to_event(mode, problem, event, t, stats)
        else:
            from node.per_sample.to_events import solve_to_events  # imported here because it needs NumPy

            trajectory, y, point = solve_to_events(mode, problem, sample_times, event, t, stats)
    return Solution(
        t,
        cast(S, layout.restore_all(y)),
        trajectory.status,
        stats,
        event=point,
        event_entry=trajectory.entry,
        dense=_dense_output(mode, problem, trajectory, t),
        samples=trajectory.samples,
    )


def _dense_output(mode: Adjoint, problem: InitialValueProblem, trajectory: Trajectory, t: Tensor) -> Any:
    """The solution as a function of time; None if it was not asked for, or if no step was taken."""
    if not trajectory.pieces:
        return None
    refusal = None if mode.dense else _refusal(mode, problem, t)
    if problem.sample_times is None:
        return DenseOutput(trajectory.pieces, problem.layout, refusal)
    from node.per_sample.dense import SampleDenseOutput  # imported here because it needs NumPy

    return SampleDenseOutput(trajectory.pieces, problem.sample_times, problem.layout, refusal)


def _refusal(mode: Adjoint, problem: InitialValueProblem, t: Tensor) -> Refusal:
    parts = problem.y0 if isinstance(problem.y0, tuple) else (problem.y0,)
    return Refusal(
        f"{mode.name} gives no gradient through dense output: ask for outputs, or take gradient='backprop' or "
        "'checkpointed'",
        (*parts, *problem.parameters, t),
    )


def _check_suited(problem: InitialValueProblem, stats: Stats) -> None:
    """Raise a CallError if the solver cannot solve this field, at the cost of a few calls of f."""
    f = problem.field()
    with torch.no_grad():
        reason = problem.solver.unsuited(f, problem.output_times()[0], problem.layout.flatten(problem.y0))
    if reason:
        raise CallError(reason)
    stats.nfe_forward += f.calls


def _check_type(name: str, value: object, kind: type | UnionType, remedy: str) -> None:
    if not isinstance(value, kind):
        raise CallTypeError(f"{name} is of type {type(value).__name__}: {remedy}")


def _check_state(y0: State) -> None:
    parts = y0 if isinstance(y0, tuple) else (y0,)
    if not parts:
        raise CallError("y0 is an empty tuple: there is nothing to solve")
    for part in parts:
        _check_type("y0", part, Tensor, "pass a tensor or a tuple of tensors")
        if not (part.is_floating_point() or part.is_complex()):
            raise CallError(f"y0 has dtype {part.dtype} and must be floating point or complex: pass y0.double()")
    if not any(part.numel() for part in parts):
        raise CallError(f"y0 has shape {tuple(parts[0].shape)} and no entry: there is nothing to solve")
    if len({part.is_complex() for part in parts}) > 1:
        raise CallError("y0 has complex and real parts: pass them all as complex")


def _independent(batch: str, y0: State, mode: Adjoint) -> bool:
    """Whether each sample has its own steps; a CallError if the state or the mode does not allow it."""
    if choice("batch", batch, {"joint": False, "independent": True}) is False:
        return False
    shapes = [tuple(part.shape) for part in (y0 if isinstance(y0, tuple) else (y0,))]
    if not all(shapes) or len({shape[0] for shape in shapes}) > 1:
        raise CallError(
            f"y0 has shape {', '.join(map(str, shapes))}: "
            "with batch='independent' the first dimension is that of samples"
        )
    if not mode.independent and torch.is_grad_enabled():
        raise CallError(
            f"{mode.name} has one step size for the whole batch: "
            "take another gradient mode, such as 'backprop', with batch='independent', "
            "or solve under torch.no_grad()"
        )
    return True


def _checked_times(t: Tensor) -> tuple[float, ...]:
    _check_type("t", t, Tensor, "pass a 1-dimensional tensor of output times")
    if t.dim() != 1 or len(t) == 0 or not t.is_floating_point():
        raise CallError(f"t has shape {tuple(t.shape)} and dtype {t.dtype}: pass a 1-dimensional tensor of floats")
    times = tuple(t.detach().tolist())
    if not all(map(math.isfinite, times)):
        raise CallError("t has an entry that is not finite: output times are finite numbers")
    steps = [b - a for a, b in itertools.pairwise(times)]
    if not (all(s > 0 for s in steps) or all(s < 0 for s in steps)):
        raise CallError(
            "t must be strictly increasing or strictly decreasing: sort it and drop doubles"
            + (
                f", or take it in float64 if {t.dtype} has made them"
                if 0.0 in steps and t.dtype != torch.float64
                else ""
            )
        )
    return times


def _sample_times(t: Tensor, y0: State) -> Tensor:
    """The output times of each sample (B, T), in float64 on the CPU."""
    samples = len(y0[0] if isinstance(y0, tuple) else y0)
    if not isinstance(t, Tensor) or t.dim() != 2:
        return torch.tensor(_checked_times(t), dtype=torch.float64, device="cpu").expand(samples, -1)
    if len(t) != samples or t.numel() == 0 or not t.is_floating_point():
        raise CallError(
            f"t has shape {tuple(t.shape)} and dtype {t.dtype}: pass floats, of shape (T,) or ({samples}, T), "
            "with output times of each sample's own"
        )
    times = t.detach().to("cpu", torch.float64).contiguous()
    if not bool(times.isfinite().all()):
        raise CallError("t has an entry that is not finite: output times are finite numbers")
    steps = times.diff(dim=1)
    if not (bool((steps > 0).all()) or bool((steps < 0).all())):
        raise CallError("t must be strictly increasing in every row, or strictly decreasing: sort it and drop doubles")
    return times


def _ends(sample_times: Tensor) -> set[tuple[float, float]]:
    return set(zip(sample_times[:, 0].tolist(), sample_times[:, -1].tolist(), strict=True))
