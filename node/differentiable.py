"""Gradients that are the same for all modes: to the output times, and of the time and state of an event."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from node.adjoint.base import Adjoint, InitialValueProblem
from node.derivatives import without_graph
from node.event import Event, EventPoint
from node.event_time import time_of_event
from node.flow import Flow, flow_within_transform
from node.solution import Stats, Status
from node.torch_private import in_transform
from node.trajectory import Trajectory
from node.vector_field import Time


def solve_flat(mode: Adjoint, problem: InitialValueProblem, t: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
    """The trajectory and its flat states (len(t), n), with gradients to y0, the parameters and t.

    The derivative of a state in its output time is f there, and in the start time -f at the start, propagated. This is
    exact for the true solution, whatever the mode.
    """
    y0 = problem.layout.flatten(problem.y0)
    if not torch.is_grad_enabled():
        y0 = without_graph(y0)  # a view made without grad mode would require grad and have no graph
    if not (t.requires_grad and torch.is_grad_enabled()):
        return mode.solve(problem, y0, stats)
    times, fixed, first = problem.output_times(), t.detach(), t[..., :1]
    start = _along_flow(problem, stats, times[:1], y0.unsqueeze(0), first, first.detach())
    trajectory, y = mode.solve(problem, start[0], stats)
    return trajectory, _along_flow(problem, stats, times, y, fixed, t)


def _along_flow(
    problem: InitialValueProblem, stats: Stats, times: Sequence[Time], y: Tensor, start: Tensor, stop: Tensor
) -> Tensor:
    if not in_transform():
        return Flow.at(problem.f, problem.layout, stats, times, y)(y, start, stop)
    f = problem.field()
    y = flow_within_transform(f, y, start, stop)
    stats.nfe_forward += f.calls
    return y


def solve_to_event(
    mode: Adjoint, problem: InitialValueProblem, event: Event, t: Tensor, stats: Stats
) -> tuple[Trajectory, Tensor, EventPoint[Any] | None]:
    """The result of solve_flat up to the event: a first solve finds it, a second one to its time has a graph."""
    with torch.no_grad():
        found, y = solve_flat(mode, replace(problem, event=event), t, stats)
    if not torch.is_grad_enabled():
        return found, y, _event_point(problem, t, found.t, found.y) if found.status is Status.event else None
    if found.status is not Status.event:
        return *solve_flat(mode, problem, t, stats), None
    sign = problem.times[-1] - problem.times[0]
    before = sum(sign * (time - found.t) < 0 for time in problem.times)
    meets = before < len(problem.times) and problem.times[before] == found.t
    stop = t[before : before + 1] if meets else t.new_tensor([found.t])
    to_event = replace(problem, times=(*problem.times[:before], found.t))
    trajectory, y = solve_flat(mode, to_event, torch.cat((t[:before], stop)), stats)
    reached = before + meets
    beyond = y.new_full((len(problem.times) - reached, y.shape[1]), torch.nan)
    states = torch.cat((y[:reached], beyond))
    if trajectory.status.failed:
        return trajectory, states, None
    trajectory = replace(trajectory, status=Status.event, entry=found.entry)
    flow = Flow.at(problem.f, problem.layout, stats, [found.t], y[-1:])
    at = time_of_event(event, flow, found.entry, stop, y[-1:])
    return trajectory, states, EventPoint(at[0], problem.layout.restore(flow(y[-1:], stop, at)[0]))


def _event_point(problem: InitialValueProblem, t: Tensor, time: float, y: Tensor) -> EventPoint[Any]:
    at = torch.tensor(time, dtype=t.dtype, device=t.device)
    return EventPoint(at, problem.layout.restore(y))
