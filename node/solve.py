"""The one entrance to the core: everything that solves goes through `solve`."""

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import TypeVar

import torch
from torch import Tensor, nn

from node.adjoint import ADJOINTS, Adjoint, InitialValueProblem
from node.controller import Controller, FixedStep, PIDController
from node.solution import Solution
from node.solvers import SOLVERS, Solver
from node.vector_field import VectorField

T = TypeVar("T")


def solve(
    f: VectorField,
    y0: Tensor,
    t: Tensor,
    *,
    solver: str | Solver,
    controller: Controller,
    gradient: str | Adjoint = "backprop",
    parameters: Iterable[Tensor] | None = None,
    max_steps: int = 1_000_000,
) -> Solution:
    """Solve dy/dt = f(t, y), y(t[0]) = y0.

    f: called with t, a 0-dimensional tensor, and y of y0's shape; returns dy/dt of that shape.
    y0: a real floating-point tensor of any shape.
    t: (n,), n >= 1, strictly increasing or strictly decreasing: the times of output, t[0] the start.
    gradient: how to differentiate the solve: a name in ADJOINTS or a value.
    parameters: what `gradient="adjoint"` may differentiate in; by default those of the module f.
    max_steps: the limit of accepted and rejected steps together.

    A wrong call raises ValueError; a solve that stops early is a Solution whose status says why.
    """
    mode = named("gradient", gradient, ADJOINTS)
    method = named("solver", solver, SOLVERS)
    _check_type("controller", controller, FixedStep | PIDController, "pass FixedStep(dt=...) or PIDController(...)")
    if controller.adaptive and not method.adaptive:
        raise ValueError(f"{method.name} gives no error estimate: pass controller=FixedStep(dt=...), no tolerance")
    _check_state(y0)
    problem = InitialValueProblem(
        f=f,
        y0=y0,
        t=t,
        times=_checked_times(t),
        solver=method,
        controller=controller,
        max_steps=max_steps,
        parameters=_parameters(f, mode, parameters),
    )
    return mode.solve(problem)


def named(kind: str, choice: str | T, registry: Mapping[str, T]) -> T:
    """The registered value of a name, or the value itself; a wrong name is answered with the nearest known one."""
    if not isinstance(choice, str):
        return choice
    if choice in registry:
        return registry[choice]
    raise ValueError(unknown(kind, choice, registry))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The line that answers a wrong name."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(known)}"


def _check_type(name: str, value: object, kind: type | UnionType, remedy: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is of type {type(value).__name__}: {remedy}")


def _check_state(y0: Tensor) -> None:
    _check_type("y0", y0, Tensor, "pass a tensor")
    if not y0.is_floating_point():
        raise ValueError(f"y0 has dtype {y0.dtype} and must be real floating point: pass y0.float() or y0.double()")
    if y0.numel() == 0:
        raise ValueError(f"y0 has shape {tuple(y0.shape)} and no entry: there is nothing to solve")


def _checked_times(t: Tensor) -> tuple[float, ...]:
    _check_type("t", t, Tensor, "pass a 1-dimensional tensor of output times")
    if t.dim() != 1 or len(t) == 0 or not t.is_floating_point():
        raise ValueError(f"t has shape {tuple(t.shape)} and dtype {t.dtype}: pass a 1-dimensional tensor of floats")
    if t.requires_grad:
        raise ValueError("t requires grad, and no gradient mode differentiates in t: pass t.detach()")
    times = tuple(t.tolist())
    if not all(map(math.isfinite, times)):
        raise ValueError("t has an entry that is not finite: output times are finite numbers")
    steps = [b - a for a, b in itertools.pairwise(times)]
    if not (all(s > 0 for s in steps) or all(s < 0 for s in steps)):
        raise ValueError("t must be strictly increasing or strictly decreasing: sort it and drop doubles")
    return times


def _parameters(f: VectorField, mode: Adjoint, parameters: Iterable[Tensor] | None) -> tuple[Tensor, ...]:
    if parameters is not None:
        return tuple(parameters)
    if isinstance(f, nn.Module):
        return tuple(f.parameters())
    if mode.needs_parameters and torch.is_grad_enabled():
        raise ValueError(
            f"{mode.name} cannot see what a plain function depends on: pass an nn.Module, "
            "or parameters=(...), or parameters=() if there are none"
        )
    return ()
