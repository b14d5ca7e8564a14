"""Gradients that no mode need know of: to the output times, and to where an event happens."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from node.adjoint import Adjoint, InitialValueProblem
from node.derivatives import without_graph
from node.event import Event, EventPoint
from node.solution import Stats, Status
from node.trajectory import Trajectory
from node.vector_field import FlatField


def solve_flat(mode: Adjoint, problem: InitialValueProblem, t: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
    """The trajectory and its flat states (len(t), n), with gradients to y0, the parameters and t.

    To first order a later start is an earlier state, and a later output a later state, along f. This is exact for
    the true solution, whatever the mode.
    """
    y0 = problem.layout.flatten(problem.y0)
    if not torch.is_grad_enabled():
        y0 = without_graph(y0)  # a view of it that is made now would require grad and have no graph
    if not (t.requires_grad and torch.is_grad_enabled()):
        return mode.solve(problem, y0, stats)
    f = problem.field()
    delay = (t - t.detach()).to(f.layout.device, f.layout.dtype)
    delay = delay.t().reshape(len(problem.times), -1, *(1,) * (y0.dim() - 1))  # (T, 1), (T, 1, 1) or (T, B, 1)
    times = problem.output_times()
    with torch.no_grad():
        f0 = _finite(f(times[0], y0))
    trajectory, y = mode.solve(problem, y0 - f0 * delay[0], stats)
    with torch.no_grad():
        slopes = torch.stack([_finite(f(time, state)) for time, state in zip(times, y, strict=True)])
    stats.nfe_forward += f.calls
    return trajectory, y + slopes * delay


def _finite(slope: Tensor) -> Tensor:
    """A slope that is not finite, as of a failed sample, is of no use, and its NaN would be in all gradients."""
    return slope.where(slope.isfinite(), 0.0)


def solve_to_event(
    mode: Adjoint, problem: InitialValueProblem, event: Event, t: Tensor, stats: Stats
) -> tuple[Trajectory, Tensor, EventPoint[Any] | None]:
    """As solve_flat, up to the event; the solve that finds it leaves no graph, a second one to its time does."""
    with torch.no_grad():
        found, y = solve_flat(mode, replace(problem, event=event), t, stats)
    if not torch.is_grad_enabled():
        return found, y, _event_point(problem, t, found.t, found.y) if found.status is Status.event else None
    if found.status is not Status.event:
        return *solve_flat(mode, problem, t, stats), None
    sign = problem.times[-1] - problem.times[0]
    due = sum(sign * (time - found.t) < 0 for time in problem.times)
    stop = torch.tensor([found.t], dtype=t.dtype, device=t.device)
    to_event = replace(problem, times=(*problem.times[:due], found.t))
    trajectory, y = solve_flat(mode, to_event, torch.cat((t[:due], stop)), stats)
    trajectory.status = Status.event if trajectory.status is Status.success else trajectory.status
    reached = due + (due < len(problem.times) and problem.times[due] == found.t)
    beyond = y.new_full((len(problem.times) - reached, y.shape[1]), torch.nan)
    f = problem.field()
    point = point_of_event(f, event, stop[0], found.t, y[-1])
    stats.nfe_forward += f.calls
    return trajectory, torch.cat((y[:reached], beyond)), point


def _event_point(problem: InitialValueProblem, t: Tensor, time: float, y: Tensor) -> EventPoint[Any]:
    at = torch.tensor(time, dtype=t.dtype, device=t.device)
    return EventPoint(at, problem.layout.restore(y))


def point_of_event(f: FlatField, event: Event, stop: Tensor, time: float, y: Tensor) -> EventPoint[Any]:
    """Chen, Amos & Nickel (2021), "Learning Neural Event Functions for Ordinary Differential Equations", eq. 8.

    stop, y: the event's time and the flat state there, differentiable as at a given time; time: its value.
    g(t*, y(t*)) = 0 gives dt* = -dg / (dg/dt + dg/dy f) along the way, and the state there moves on by f dt*.
    """
    layout = f.layout
    with torch.no_grad():
        slope = f(time, y)
    with torch.enable_grad():
        t_free, y_free = f.time(time).requires_grad_(), y.detach().requires_grad_()
        g = event.g(t_free, layout.restore(y_free)).reshape(-1)
        entry = int(g.detach().abs().argmin())
        dg_dt, dg_dy = torch.autograd.grad(g[entry], (t_free, y_free), allow_unused=True)
    rate = slope.new_zeros(())
    if dg_dt is not None:
        rate = rate + dg_dt
    if dg_dy is not None:
        rate = rate + (dg_dy * slope).sum()
    g = event.g(f.time(time), layout.restore(y)).reshape(-1)[entry]
    shift = -(g - g.detach()) / rate
    return EventPoint(stop + shift.to(stop), layout.restore(y + slope * shift.to(slope)))
