"""The loop: from t0 to t1 in the controller's steps, with outputs from the solver's dense output."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.controller import Controller, FixedStep, PIDController
from node.solution import Status
from node.solvers.base import Solver, Step
from node.vector_field import FlatField

# Times nearer to each other than this share of a step are one: i * dt does not meet an output to the last bit.
_SAME_TIME = 1e-9


@dataclass
class Trajectory:
    """Where a loop has got to. The state is flat, of shape (n,), and time is a float."""

    t: float
    y: Tensor
    dt: float  # what the controller would try next, signed; carried over by a solve in several intervals
    outputs: list[Tensor]  # pieces of shape (m, n), in order of time
    status: Status = Status.success
    n_accepted: int = 0
    n_rejected: int = 0

    def at_outputs(self, count: int) -> Tensor:
        """States (count, n) at the output times; NaN where the loop did not get to."""
        missing = count - sum(map(len, self.outputs))
        if missing:
            self.outputs.append(self.y.new_full((missing, len(self.y)), math.nan))
        return torch.cat(self.outputs)


def integrate(
    f: FlatField,
    y0: Tensor,
    times: Sequence[float],
    *,
    solver: Solver,
    controller: Controller,
    max_steps: int,
    record: bool,
    dt: float | None = None,
) -> Trajectory:
    """Solve dy/dt = f from times[0] to times[-1], which it lands on, with outputs at every time.

    y0: (n,). times: strictly monotonic. record: leave a graph for autograd. dt: the first step, else the controller's.
    """
    if len(times) == 1:
        return Trajectory(times[0], y0, 0.0, [y0.unsqueeze(0)])
    f0 = f(times[0], y0)
    if dt is None:
        dt = _first_dt(f, y0, f0, times, solver, controller)
    loop = Trajectory(times[0], y0, dt, [y0.unsqueeze(0)])
    if isinstance(controller, FixedStep):
        _fixed(loop, f, f0, times, solver, controller, max_steps, solver.workspace(y0, record=record))
    else:
        _adaptive(loop, f, f0, times, solver, controller, max_steps, solver.workspace(y0, record=record))
    return loop


def _first_dt(
    f: FlatField, y0: Tensor, f0: Tensor, times: Sequence[float], solver: Solver, controller: Controller
) -> float:
    if isinstance(controller, FixedStep):
        return math.copysign(controller.dt, times[-1] - times[0])
    with torch.no_grad():
        return controller.initial_dt(f, times[0], times[-1], y0, f0, solver.error_order or solver.order)


def _fixed(
    loop: Trajectory,
    f: FlatField,
    f0: Tensor | None,
    times: Sequence[float],
    solver: Solver,
    controller: FixedStep,
    max_steps: int,
    workspace: Any,
) -> None:
    t0, t_end, due = times[0], times[-1], 1
    while due < len(times):
        if loop.n_accepted >= max_steps:
            loop.status = Status.max_steps
            break
        # i * dt, not a sum of dt's: a thousand steps end where they should.
        t1 = _meet(t0 + (loop.n_accepted + 1) * loop.dt, loop.dt, times[due], t_end)
        if f0 is None:
            f0 = f(loop.t, loop.y)
        step = solver.step(f, loop.t, loop.y, t1 - loop.t, f0, workspace, estimate=False)
        due, f0 = _accept(loop, step, t1, times, due, f, solver, workspace)
    _check_finite(loop)


def _adaptive(
    loop: Trajectory,
    f: FlatField,
    f0: Tensor | None,
    times: Sequence[float],
    solver: Solver,
    controller: PIDController,
    max_steps: int,
    workspace: Any,
) -> None:
    t_end, due = times[-1], 1
    error_order = solver.error_order or solver.order
    memory, ratio = (1.0, 1.0), 0.0
    while due < len(times):
        if loop.n_accepted + loop.n_rejected >= max_steps:
            loop.status = Status.max_steps
            return
        if abs(loop.dt) <= 4 * sys.float_info.epsilon * abs(loop.t) or loop.dt == 0.0:
            loop.status = Status.dt_underflow if math.isfinite(ratio) else Status.non_finite
            return
        t1 = _meet(loop.t + loop.dt, loop.dt, times[due], t_end)
        dt = t1 - loop.t
        if f0 is None:
            f0 = f(loop.t, loop.y)
        step = solver.step(f, loop.t, loop.y, dt, f0, workspace, estimate=True)
        ratio = _error_ratio(controller, step, loop.y)
        verdict = controller.judge(ratio, dt, memory, error_order)
        memory = verdict.memory
        if not verdict.accepted:
            loop.n_rejected += 1
            loop.dt = verdict.dt
            continue
        # A step cut short to land on the end says nothing against the size that was wanted.
        loop.dt = verdict.dt if abs(verdict.dt) > abs(loop.dt) or dt == loop.dt else loop.dt
        due, f0 = _accept(loop, step, t1, times, due, f, solver, workspace)
    if solver.dense_with_f1:
        _check_finite(loop)


def _check_finite(loop: Trajectory) -> None:
    """Name a solve that left the finite numbers, and let its outputs be NaN from there on.

    A state that is not finite stays so: the last one tells of all. Only f(t1, y1) of the last step is in no later
    state, and dense output in that step may have taken it.
    """
    if all(bool(torch.isfinite(y.detach()).all()) for y in (loop.y, *loop.outputs[-2:])):
        return
    loop.status = Status.non_finite
    loop.outputs = [y.where(y.isfinite().all(dim=1, keepdim=True), math.nan) for y in loop.outputs]


def _error_ratio(controller: PIDController, step: Step, y: Tensor) -> float:
    if step.error is None:
        raise ValueError("this step gives no error estimate: pass controller=FixedStep(dt=...)")
    with torch.no_grad():
        return controller.error_ratio(step.error, y, step.y1)


def _meet(t1: float, dt: float, due: float, t_end: float) -> float:
    """t1; or the output that it meets but for rounding; or the end time where it meets or passes that."""
    slack = _SAME_TIME * abs(dt)
    if abs(t1 - due) <= slack:
        return due
    return t_end if math.copysign(1.0, dt) * (t_end - t1) <= slack else t1


def _accept(
    loop: Trajectory,
    step: Step,
    t1: float,
    times: Sequence[float],
    due: int,
    f: FlatField,
    solver: Solver,
    workspace: Any,
) -> tuple[int, Tensor | None]:
    """Move to the step's end; the index of the next output, and f(t1, y1) if it is known."""
    t, dt, f1 = loop.t, t1 - loop.t, step.f1
    sign = math.copysign(1.0, dt)
    passed = due
    while passed < len(times) and sign * (times[passed] - t1) < 0:
        passed += 1
    if passed > due:
        if f1 is None and solver.dense_with_f1:
            f1 = f(t1, step.y1)
        thetas = [(time - t) / dt for time in times[due:passed]]
        loop.outputs.append(solver.interpolate(f, t, loop.y, dt, f1, workspace, thetas))
    if passed < len(times) and times[passed] == t1:
        loop.outputs.append(step.y1.unsqueeze(0))
        passed += 1
    loop.t, loop.y = t1, step.y1
    loop.n_accepted += 1
    return passed, f1
