"""odeint_event: a solve up to an event, with gradients through the event's time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from node.event import Event
from node.layout import State
from node.torchdiffeq_api.call import EventFn
from node.torchdiffeq_api.event_time import FoundEvent, zero_at_start
from node.torchdiffeq_api.odeint import odeint
from node.torchdiffeq_api.odeint_adjoint import odeint_adjoint
from node.vector_field import VectorField


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
    """Solve up to the time where an entry of event_fn(t, y) passes through zero: (event_t, states at t0 and event_t).

    Both results can be differentiated in all that the event's time depends on. There is no latest time: a search that
    finds nothing raises SolveError after max_num_steps. t0: a tensor of one entry. reverse_time: solve backwards.
    odeint_interface: odeint or odeint_adjoint, which gets the other arguments; or another function like them, of which
    only the event and the states, with event_t as a given time, are used.
    """
    start = t0.reshape(-1)
    t = torch.cat((start, start.detach() + (-1.0 if reverse_time else 1.0)))
    event_t, states = odeint_interface(func, y0, t, event_fn=event_fn, **kwargs)
    if not torch.is_grad_enabled():
        return event_t, states
    event, parts = Event(event_fn), (states,) if isinstance(states, Tensor) else states
    at_start = zero_at_start(event, t[0], y0) is not None
    end = tuple(part[-1] for part in parts)
    stop = start if at_start else event_t.detach().reshape(1)
    found = FoundEvent(func, event, stop, end[0] if isinstance(states, Tensor) else end)
    if odeint_interface not in (odeint, odeint_adjoint):
        event_t = found.time(found.nearest_entry())[0]
    at = found.state(event_t.reshape(1))
    moved = tuple(
        torch.stack(pair)
        for pair in zip((part[0] for part in parts), at if isinstance(at, tuple) else (at,), strict=True)
    )
    return event_t, moved[0] if isinstance(states, Tensor) else moved
