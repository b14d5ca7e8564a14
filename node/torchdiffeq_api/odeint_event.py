"""odeint_event: a solve up to an event, with what the event's time depends on."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from node.differentiable import point_of_event
from node.event import Event
from node.layout import State
from node.torchdiffeq_api.call import EventFn
from node.torchdiffeq_api.odeint import odeint
from node.vector_field import FlatField, VectorField


def odeint_event(
    func: VectorField[Any],
    y0: State,
    t0: Tensor,
    *,
    event_fn: EventFn,
    reverse_time: bool = False,
    odeint_interface: Callable[..., Any] = odeint,
    **kwargs: Any,
) -> tuple[Tensor, Any]:
    """(event_t, states at t0 and at event_t): the solve ends where an entry of event_fn(t, y) passes through zero.

    Both can be differentiated with all that the event's time depends on. There is no latest time: a search that finds
    nothing raises SolveError after max_num_steps. t0: of one entry. reverse_time: go back from t0.
    odeint_interface: odeint or odeint_adjoint, to which the other arguments go.
    """
    start = t0.reshape(-1)
    t = torch.cat((start, start.detach() + (-1.0 if reverse_time else 1.0)))
    event_t, states = odeint_interface(func, y0, t, event_fn=event_fn, **kwargs)
    if not torch.is_grad_enabled():
        return event_t, states
    f = FlatField.of(func, y0)
    y = f.layout.flatten(states[-1] if isinstance(states, Tensor) else tuple(part[-1] for part in states))
    point = point_of_event(f, Event(event_fn), event_t.detach(), event_t.item(), y)
    if isinstance(states, Tensor):
        return point.t, torch.stack((states[0], point.y))
    return point.t, tuple(torch.stack((part[0], at)) for part, at in zip(states, point.y, strict=True))
