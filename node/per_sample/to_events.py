"""Solves in which each sample stops at its solve_times event, with gradients to the times and states there."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from node.adjoint.base import Adjoint, InitialValueProblem
from node.differentiable import solve_flat
from node.event import Event, EventPoint
from node.per_sample.event_time import points_of_events
from node.per_sample.events import SampleEvents
from node.per_sample.outcomes import batch_status
from node.solution import Stats, Status
from node.trajectory import Trajectory


def solve_to_events(
    mode: Adjoint, problem: InitialValueProblem, times: Tensor, event: Event, t: Tensor, stats: Stats
) -> tuple[Trajectory, Tensor, EventPoint[Any] | None]:
    """The result of solve_flat up to each sample's event: a first solve finds it, a second one to its time has a graph.

    times: (B, T), the output times.
    """
    with torch.no_grad():
        found, y = solve_flat(mode, replace(problem, event=event), t, stats)
    events = found.events
    if events is None or not events.happened.any():
        return (*solve_flat(mode, problem, t, stats), None) if torch.is_grad_enabled() else (found, y, None)
    if not torch.is_grad_enabled():
        return found, y, EventPoint(torch.from_numpy(events.t).to(t), problem.layout.restore(events.y))
    happened = torch.from_numpy(events.happened).unsqueeze(1)
    ends = torch.where(happened, torch.from_numpy(events.t).unsqueeze(1), times[:, -1:])
    passed = (times[:, -1:] - times[:, :1]) * (times - ends) <= 0  # the outputs up to the end, (B, T)
    # Output times after a sample's end are set to its end, and one more column holds the end itself.
    solve_times = torch.cat((torch.where(passed, times, ends), ends), dim=1)
    requested = t if t.dim() == 2 else t.expand(len(times), -1)
    converted = solve_times.to(t)
    requested = torch.cat((torch.where(passed.to(t.device), requested, converted[:, :-1]), converted[:, -1:]), dim=1)
    to_events = replace(problem, times=tuple(solve_times[0].tolist()), sample_times=solve_times)
    trajectory, y = solve_flat(mode, to_events, requested, stats)
    trajectory = _with_events_named(trajectory, events)
    point = points_of_events(problem, event, events, y[-1], stats)
    y = y[:-1].where(passed.t().unsqueeze(2).to(y.device), torch.nan)
    return trajectory, y, EventPoint(point.t.to(t), problem.layout.restore(point.y))


def _with_events_named(trajectory: Trajectory, events: SampleEvents) -> Trajectory:
    """The trajectory with the status `event` for samples that ended at their event."""
    if trajectory.samples is None:
        return trajectory
    pairs = zip(trajectory.samples.status, events.happened.tolist(), strict=True)
    statuses = tuple(Status.event if happened and not status.failed else status for status, happened in pairs)
    return replace(trajectory, samples=replace(trajectory.samples, status=statuses), status=batch_status(statuses))
