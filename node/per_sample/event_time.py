"""The times and states of samples' events with their derivatives in all that the solutions and g depend on."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from node.adjoint.base import InitialValueProblem
from node.event import Event
from node.event_time import with_refused_gradient
from node.flow import ORDERS, Flow
from node.per_sample.columns import column, mask
from node.per_sample.events import SampleEvents, entries
from node.per_sample.nan_substitute import NanSubstitute
from node.solution import Stats
from node.vector_field import RightHandSide


class EventPoints(NamedTuple):
    """The times and states at which events stopped samples; NaN for samples without an event."""

    t: Tensor  # (B,), in float64
    y: Tensor  # (B, n)


def points_of_events(
    problem: InitialValueProblem, event: Event, found: SampleEvents, y: Tensor, stats: Stats
) -> EventPoints:
    """The events with their derivatives, as `time_of_event` gives them. y: the states (B, n) at the events' times.

    Samples without an event are evaluated at another sample's event, as a constant, and get no gradient.
    """
    happened = found.happened
    stop, own = torch.from_numpy(found.t).to(y.device).unsqueeze(1), mask(happened, y)
    substitute = NanSubstitute.where_needed(happened)
    if substitute is not None:
        stop, y = substitute.fill(stop), substitute.fill(y)
    t = column(stop.squeeze(1).cpu().numpy(), y)
    flow = Flow.at(problem.f, problem.layout, stats, [t], y.unsqueeze(0))
    entry = torch.from_numpy(np.where(happened, found.entry, found.entry[happened.argmax()])).to(y.device).unsqueeze(1)
    f = problem.field()
    rate = _rates(f, event, t, flow, entry)
    flat = own & ~((rate != 0) & rate.isfinite())
    rate, at = rate.where(own & ~flat, torch.inf), stop
    for _ in range(ORDERS):
        g = entries(event, f, at.to(t), flow(y.unsqueeze(0), stop, at)[0]).gather(1, entry)
        at = at - (g - g.detach()).to(at) / rate
    if flat.any():
        at = with_refused_gradient(at, y, f"sample {int(flat.int().argmax())}").where(flat, at)
    there = flow(y.unsqueeze(0), stop, at)[0]
    return EventPoints(at.where(own, torch.nan).squeeze(1), there.where(own, torch.nan))


def _rates(f: RightHandSide, event: Event, t: Tensor, flow: Flow, entry: Tensor) -> Tensor:
    """The total time derivative (B, 1) of one entry of g along each sample's solution; 0 where autograd finds none."""
    with torch.enable_grad():
        t, y = t.detach().requires_grad_(), flow.y[0].detach().requires_grad_()
        g = entries(event, f, t, y).gather(1, entry)
        if not g.requires_grad:
            return torch.zeros_like(t)
        of_t, of_y = torch.autograd.grad(g.sum(), (t, y), allow_unused=True)  # samples do not interact
    rate = torch.zeros_like(t) if of_t is None else of_t
    return rate if of_y is None else rate + (of_y.conj() * flow.slopes[0]).real.sum(dim=1, keepdim=True)
