"""The claims on a solver."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench.own.finding import Check
from node import SOLVERS, FixedStep, PIDController, Status, solve
from node.solvers import Solver
from node.user_field import UserField

_STEPS = (32, 64)  # over [0, 2]
_SLACK = 0.35  # by which an observed order may be too low
_ROUNDING = 1e-13  # an error below it says nothing of an order
_FEW = 6  # steps whose dense output is compared
_PARTS = 5  # of a step, between which its dense output is compared
# At one time the leading error of a method may vanish, so the problem is started at eight phases of its period.
_PHASE = torch.arange(8, dtype=torch.float64) * (math.pi / 4)


def solver_claims(name: str) -> dict[str, Check]:
    """The claims on a solver, each with a function that says what is wrong."""
    solver = SOLVERS[name]
    within = min(solver.order, solver.dense_order) + 1  # the states that dense output joins have errors too
    claims: dict[str, Check] = {
        f"order {solver.order} is kept": partial(_order, partial(_end_error, solver), solver.order),
        f"dense output is of order {solver.dense_order}": partial(_order, partial(_dense_error, solver), within),
        "dtype is followed": partial(_dtype, solver),
        "a step leaves its state alone": partial(_leaves_state, solver),
        "backprop and checkpointed give one gradient": partial(_gradients, solver),
    }
    if solver.adaptive:
        claims[f"the error estimate falls with dt^{solver.error_order}"] = partial(_error_order, solver)
        claims["the error falls with the tolerance"] = partial(_tolerance, solver)
    return claims


def _linear(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(q, p)' = cos(t + phase) (p, -q), y (8, 2): separable, for symplectic solvers."""
    q, p = y.unbind(-1)
    return torch.stack((p, -q), dim=-1) * torch.cos(t + _PHASE.to(y.dtype)).unsqueeze(-1)


def _field(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The same times q^2 + p^2, which stays 1: on linear problems some methods are of a higher order."""
    return _linear(t, y) * y.square().sum(-1, keepdim=True)


def _solved(solver: Solver, y0: torch.Tensor, end: float, controller: Any, **how: Any) -> Any:
    field = _linear if solver.separable else _field
    return solve(field, y0, torch.tensor([0.0, end], dtype=y0.dtype), solver=solver, controller=controller, **how)


def _exact(t: float) -> torch.Tensor:
    angle = torch.sin(t + _PHASE) - torch.sin(_PHASE)
    return torch.stack((torch.cos(angle), -torch.sin(angle)), dim=-1)


def _start() -> torch.Tensor:
    return _exact(0.0)


def _rms(y: torch.Tensor) -> float:
    return y.square().mean().sqrt().item()


def _end_error(solver: Solver, steps: int) -> float:
    y = _solved(solver, _start(), 2.0, FixedStep(dt=2.0 / steps)).require_success().y
    return _rms(y[-1] - _exact(2.0))


def _dense_error(solver: Solver, steps: int) -> float:
    """The error within a few steps: their number is fixed, so that the error of the states has the power of one step's.

    The first steps of a multistep method are another method's.
    """
    dt = 2.0 / steps
    solved = _solved(solver, _start(), _FEW * dt, FixedStep(dt=dt), dense=True)
    between = [k * dt / _PARTS for k in range(_PARTS * _FEW + 1)]
    y = solved.dense(torch.tensor(between, dtype=torch.float64))
    return _rms(y - torch.stack([_exact(time) for time in between]))


def _order(error: Callable[[int], float], claimed: int) -> str:
    coarse, fine = (error(steps) for steps in _STEPS)
    if fine < _ROUNDING:
        return ""
    seen = math.log2(coarse / fine)
    said = f"an order of {seen:.2f} is seen, from {_STEPS[0]} to {_STEPS[1]} steps of a rotation"
    return "" if seen > claimed - _SLACK else said


def _error_order(solver: Solver) -> str:
    dt = 2.0 / _STEPS[1]
    while (fine := _estimate(solver, dt)) < _ROUNDING:
        dt *= 2.0
        if dt > 1.0:
            return "the estimate is 0"
    seen = math.log2(_estimate(solver, 2.0 * dt) / fine)
    said = f"it falls with dt^{seen:.2f}, from a step of {2.0 * dt:g} to one of {dt:g}"
    return "" if abs(seen - (solver.error_order or 0)) < _SLACK else said


def _estimate(solver: Solver, dt: float) -> float:
    y0, f = _start().flatten(), UserField.of(_field, _start())
    step = solver.step(f, 0.0, y0, dt, solver.start(f, 0.0, y0), solver.workspace(y0, record=False), estimate=True)
    if step.error is None:
        raise RuntimeError("a step gives no error estimate: return it, or say error_order=None")
    return _rms(step.error)


def _dtype(solver: Solver) -> str:
    y = _solved(solver, _start().float(), 1.0, FixedStep(dt=0.25)).y
    return "" if y.dtype == torch.float32 else f"the solution of a float32 start is {y.dtype}"


def _leaves_state(solver: Solver) -> str:
    y0 = _start()
    kept = y0.clone()
    _solved(solver, y0, 1.0, FixedStep(dt=0.25))
    return "" if torch.equal(y0, kept) else "y was written to in a step: make a new tensor"


def _gradients(solver: Solver) -> str:
    found = []
    for gradient in ("backprop", "checkpointed"):
        y0 = _start().requires_grad_()
        y = _solved(solver, y0, 1.0, FixedStep(dt=0.25), gradient=gradient).y
        torch.autograd.backward(y[-1].sum())
        found.append(y0.grad)
    one, other = found
    if one is None or other is None:
        return "no gradient reaches the start: are steps taken without a graph?"
    return "" if torch.allclose(one, other, rtol=1e-12) else f"they differ by {(one - other).abs().max().item():.2g}"


def _tolerance(solver: Solver) -> str:
    """The error at a tolerance has a factor of the solver's own: with the tolerance it must fall."""
    coarse, fine = 1e-4, 1e-6
    errors = []
    for tolerance in (coarse, fine):
        solution = _solved(solver, _start(), 2.0, PIDController(rtol=tolerance, atol=tolerance))
        if solution.status is not Status.success:
            return f"at {tolerance:g} the solve ends: {solution.status.value}"
        errors.append(_rms(solution.y[-1] - _exact(2.0)))
    falls = (coarse / fine) ** (solver.order / (solver.error_order or solver.order))
    said = f"the error is {errors[0]:.2g} at {coarse:g} and {errors[1]:.2g} at {fine:g}: what is b_error?"
    return "" if errors[0] > errors[1] * falls / 10 else said
