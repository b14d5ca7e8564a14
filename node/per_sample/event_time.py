"""What the times of samples' events depend on: all that their solutions and g do."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from node.event import Event
from node.per_sample.clock import Bools
from node.per_sample.columns import column, mask
from node.per_sample.events import SampleEvents, entries
from node.per_sample.stand_in import StandIn
from node.vector_field import FlatField


class EventPoints(NamedTuple):
    """Where samples have stopped; NaN where they have not."""

    t: Tensor  # (B,), in float64
    y: Tensor  # (B, n)


def points_of_events(f: FlatField, event: Event, found: SampleEvents, y: Tensor) -> EventPoints:
    """The events with their derivatives, of the first and the second order. y: the states at given times of events.

    g(t*, y(t*)) = 0 is solved from t* by steps -g / rate with a constant rate. None moves, as what g is there counts as
    zero; each makes derivatives of one order more right, and the first is eq. 8 of Chen, Amos & Nickel (2021),
    "Learning Neural Event Functions for Ordinary Differential Equations". Samples without an event stand in another's
    place, which leaves no gradient.
    """
    happened, t = found.happened, column(found.t, y)
    own, stand_in = mask(happened, y), StandIn.where_needed(happened)
    if stand_in is not None:
        t, y = stand_in.fill(t), stand_in.fill(y)
    entry = torch.from_numpy(np.where(happened, found.entry, found.entry[happened.argmax()])).to(y.device).unsqueeze(1)
    rate = _rates(f, event, t, y.detach(), entry)
    flat = own & ~((rate != 0) & rate.isfinite())
    rate, shift = rate.where(own & ~flat, torch.inf), torch.zeros_like(rate)
    for _ in range(2):
        g = entries(event, f, t + shift, _moved(f, t, y, shift)).gather(1, entry)
        shift = shift - (g - g.detach()).to(shift) / rate
    if flat.any():
        shift = _refused(shift, y, flat.squeeze(1).cpu().numpy())
    times = torch.from_numpy(found.t).to(y.device) + shift.squeeze(1).where(own.squeeze(1), 0.0)
    return EventPoints(times, _moved(f, t, y, shift).where(own, torch.nan))


def _moved(f: FlatField, t: Tensor, y: Tensor, shift: Tensor) -> Tensor:
    """The states a moment later, by a step of order 2: so that the first and the second derivative are right."""
    if not shift.requires_grad:
        return y
    half = shift / 2
    return y + shift * f(t + half, y + half * f(t, y))


def _rates(f: FlatField, event: Event, t: Tensor, y: Tensor, entry: Tensor) -> Tensor:
    """dg/dt along each sample's solution, of an entry of g of its own: (B, 1); 0 where it has none."""
    with torch.no_grad():
        slope = f(t, y)
    with torch.enable_grad():
        t, y = t.detach().requires_grad_(), y.requires_grad_()
        g = entries(event, f, t, y).gather(1, entry)
        if not g.requires_grad:
            return torch.zeros_like(t)
        of_t, of_y = torch.autograd.grad(g.sum(), (t, y), allow_unused=True)  # samples do not see each other
    rate = torch.zeros_like(t) if of_t is None else of_t
    return rate if of_y is None else rate + (of_y.conj() * slope).real.sum(dim=1, keepdim=True)


def _refused(shift: Tensor, y: Tensor, flat: Bools) -> Tensor:
    """The shift, which cannot be differentiated in samples in which g is flat."""
    refused: Tensor = _WithoutRate.apply(flat, shift, y)
    return refused


class _WithoutRate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, flat: Bools, shift: Tensor, _: Tensor) -> Tensor:
        ctx.flat = flat
        return shift.clone()

    @staticmethod
    def backward(ctx: Any, bar: Tensor) -> tuple[None, Tensor, None]:
        if torch.is_grad_enabled() or bool((bar[torch.from_numpy(ctx.flat).to(bar.device)] != 0).any()):
            raise RuntimeError(
                f"the event's time has no gradient in sample {int(ctx.flat.argmax())}: g has no rate there, as it is "
                "flat, boolean or detached: let it pass through zero with a slope, or take event.t.detach()"
            )
        return None, bar, None
