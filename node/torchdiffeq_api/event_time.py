"""The time of an event that odeint has found, and the state there, in a graph to all that they depend on."""

import math
from typing import Any

import torch
from torch import Tensor

from node.autocast import full_precision, with_current_autocast
from node.event import Event
from node.event_time import rates, time_of_event
from node.flow import Flow
from node.layout import State, layout_of
from node.solution import Stats


class FoundEvent:
    """An event at the end of a solve; the state y there has the gradient of a state at a given time.

    stop: the time of the event (1,); it is t0 itself if the event is at the start.
    """

    def __init__(self, func: Any, event: Event, stop: Tensor, y: State) -> None:
        layout = layout_of(y)
        f = with_current_autocast(func, layout.device)
        self._event = event
        self._stop = stop
        self._y = layout.flatten(y).unsqueeze(0)
        with full_precision(layout.device):
            self._flow = Flow.at(f, layout, Stats(), stop.tolist(), self._y)

    def time(self, entry: int) -> Tensor:
        """The time (1,) at which the entry of g is zero."""
        with full_precision(self._flow.layout.device):
            return time_of_event(self._event, self._flow, entry, self._stop, self._y)

    def state(self, time: Tensor) -> State:
        """The state at the event's time."""
        return self._flow.layout.restore(self._flow(self._y, self._stop, time)[0])

    def nearest_entry(self) -> int:
        """The index of the entry of g whose root is nearest in time, whatever the scales of the entries."""
        stop, y = self._stop.detach(), self._y.detach()
        with full_precision(self._flow.layout.device), torch.no_grad():
            g = self._event.entries(*self._flow.arguments(y, stop)).tolist()
            slopes = rates(self._event, self._flow, stop, y)
        away = [abs(a / b) if b and math.isfinite(b) else math.inf for a, b in zip(g, slopes, strict=True)]
        return away.index(min(away))


def zero_at_start(event: Event, t0: Tensor, y0: State) -> int | None:
    """The index of an entry of g that is zero at the start; None if there is none."""
    with torch.no_grad():
        zero = event.entries(t0, y0) == 0
    return int(zero.int().argmax()) if bool(zero.any()) else None
