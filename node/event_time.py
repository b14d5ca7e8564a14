"""The time of an event with its derivatives in all that the solution and g depend on."""

import math

import torch
from torch import Tensor

from node.event import Event
from node.flow import ORDERS, Flow
from node.refusal import Refusal


def time_of_event(event: Event, flow: Flow, entry: int, stop: Tensor, y: Tensor) -> Tensor:
    """The time (1,) at which an entry of g is zero, equal to `stop` (1,), with the derivatives of that root.

    y: the flat states (1, n) at `stop`, with `stop` taken as a given time. flow: the flow from there; along it the rate
    of g, its total time derivative, is g_t + g_y f. g(t*, y(t*)) = 0 is solved from `stop` by steps -g / rate with a
    constant rate. No step changes the value, as g at `stop` counts as zero; each step makes the derivatives of one more
    order correct. The first is eq. 8 of Chen, Amos & Nickel (2021), "Learning Neural Event Functions for Ordinary
    Differential Equations".
    """
    rate = rates(event, flow, stop.detach(), y.detach())[entry]
    if rate == 0 or not math.isfinite(rate):
        return with_refused_gradient(stop, y, f"entry {entry}")
    at = stop
    for _ in range(ORDERS):
        g = event.entries(*flow.arguments(flow(y, stop, at), at))[entry]
        at = at - (g - g.detach()).to(at) / rate
    return at


def rates(event: Event, flow: Flow, stop: Tensor, y: Tensor) -> list[float]:
    """The total time derivative of each entry of g along the solution; 0 where autograd finds none."""
    with torch.enable_grad():
        stop, y = stop.requires_grad_(), y.requires_grad_()
        g = event.entries(*flow.arguments(y, stop))
        return [_rate(entry, stop, y, flow.slopes) for entry in g.unbind()]


def _rate(g: Tensor, stop: Tensor, y: Tensor, slopes: Tensor) -> float:
    if not (g.requires_grad and bool(g.isfinite())):
        return 0.0
    of_t, of_y = torch.autograd.grad(g, (stop, y), retain_graph=True, allow_unused=True)
    rate = 0.0 if of_t is None else float(of_t)
    return rate if of_y is None else rate + float((of_y.conj() * slopes).real.sum())


def with_refused_gradient(at: Tensor, y: Tensor, where: str) -> Tensor:
    """Event times equal to `at` whose gradient is refused. where: the entry or sample for which g has no rate."""
    message = (
        f"the event's time has no gradient: g ({where}) has no rate there, as it is flat, boolean or detached: "
        "let it pass through zero with a slope, or take event.t.detach() for a given time"
    )
    (refused,) = Refusal(message, (at, y)).of(at)
    return refused
