"""The claims on a solver."""

import math
from functools import partial

import torch

from bench.own.finding import Check
from node import SOLVERS, FixedStep, PIDController, Status, solve
from node.solvers import Solver

_STEPS = (16, 32, 64)  # over [0, 2]
_SLACK = 0.35  # by which an observed order may be too low


def solver_claims(name: str) -> dict[str, Check]:
    """The claims on a solver, each with a function that says what is wrong."""
    solver = SOLVERS[name]
    claims: dict[str, Check] = {
        f"order {solver.order} is kept": partial(_order, solver),
        "dtype is followed": partial(_dtype, solver),
        "a step leaves its state alone": partial(_leaves_state, solver),
        "backprop and checkpointed give one gradient": partial(_gradients, solver),
    }
    if solver.adaptive:
        claims["a tolerance is kept"] = partial(_tolerance, solver)
    return claims


def _field(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """y' = y cos t, whose solution from 1 is exp(sin t)."""
    return y * torch.cos(t)


def _error(solver: Solver, steps: int) -> float:
    t = torch.tensor([0.0, 2.0], dtype=torch.float64)
    y0 = torch.ones(1, dtype=torch.float64)
    y = solve(_field, y0, t, solver=solver, controller=FixedStep(dt=2.0 / steps)).require_success().y
    return abs(y[-1].item() - math.exp(math.sin(2.0)))


def _order(solver: Solver) -> str:
    errors = [_error(solver, steps) for steps in _STEPS]
    if min(errors) < 1e-14:
        return ""
    seen = math.log2(errors[-2] / errors[-1])
    return "" if seen > solver.order - _SLACK else f"{seen:.2f} is seen with {_STEPS[-1]} steps on y' = y cos t"


def _dtype(solver: Solver) -> str:
    t, y0 = torch.tensor([0.0, 1.0]), torch.ones(2, dtype=torch.float32)
    y = solve(_field, y0, t, solver=solver, controller=FixedStep(dt=0.25)).y
    return "" if y.dtype == torch.float32 else f"the solution of a float32 start is {y.dtype}"


def _leaves_state(solver: Solver) -> str:
    y0 = torch.ones(2, dtype=torch.float64)
    kept = y0.clone()
    solve(_field, y0, torch.tensor([0.0, 1.0], dtype=torch.float64), solver=solver, controller=FixedStep(dt=0.25))
    return "" if torch.equal(y0, kept) else "y was written to in a step: make a new tensor"


def _gradients(solver: Solver) -> str:
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = []
    for gradient in ("backprop", "checkpointed"):
        y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
        y = solve(_field, y0, t, solver=solver, controller=FixedStep(dt=0.25), gradient=gradient).y
        torch.autograd.backward(y[-1].sum())
        found.append(y0.grad)
    one, other = found
    if one is None or other is None:
        return "no gradient reaches the start: are steps taken without a graph?"
    return "" if torch.allclose(one, other, rtol=1e-12) else f"{one[0]:.6g} and {other[0]:.6g}"


def _tolerance(solver: Solver) -> str:
    t, y0 = torch.tensor([0.0, 2.0], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for tolerance in (1e-4, 1e-6):
        controller = PIDController(rtol=tolerance, atol=tolerance)
        solution = solve(_field, y0, t, solver=solver, controller=controller)
        if solution.status is not Status.success:
            return f"at {tolerance:g} the solve ends: {solution.status.value}"
        error = abs(solution.y[-1].item() - math.exp(math.sin(2.0)))
        if error > 100 * tolerance:
            return f"at {tolerance:g} the error is {error:.2g}: is b_error of the order that error_order says?"
    return ""
