"""Events of samples that have their own steps: each sample stops at its own event."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from node.errors import CallError, CallTypeError
from node.event import Event
from node.per_sample.clock import Bools, Floats, Ints
from node.per_sample.columns import column, mask
from node.per_sample.path import SamplePiece
from node.vector_field import RightHandSide


class SampleEvents(NamedTuple):
    """The times and states at which events stopped samples."""

    t: Floats  # (B,); NaN for samples without an event
    y: Tensor  # (B, n); NaN for samples without an event
    entry: Ints  # (B,), the entry of g whose sign has changed

    @property
    def happened(self) -> Bools:
        """The samples whose event has happened."""
        return ~np.isnan(self.t)


class EventWatch:
    """An event as the loop checks it: the last signs of each sample's entries of g, and the events found so far."""

    def __init__(self, event: Event, f: RightHandSide, t: Tensor, y: Tensor) -> None:
        """Record the signs at the start, t (B, 1) and y (B, n)."""
        self.stopping: Bools | None = None  # the samples that reach their event in the current step
        self._event = event
        self._f = f
        self._signs = self._end = self._signs_at(t, y)  # before the current step, and at its end
        self.found = SampleEvents(np.full(len(y), math.nan), torch.full_like(y, math.nan), np.zeros(len(y), np.int64))

    def has_happened(self, t1: Tensor, y1: Tensor, moved: Bools) -> bool:
        """Whether an entry of a sample that accepts the step to (t1, y1) has changed its sign in it."""
        signs, moves = self._signs_at(t1, y1), torch.from_numpy(moved).to(y1.device).unsqueeze(1)
        changed = (self._changed(signs) & moves).any(dim=1)
        known = moves & (signs.abs() > 0) & ~changed.unsqueeze(1)
        self._signs, self._end = torch.where(known, signs, self._signs), signs
        stopping: Bools = changed.cpu().numpy()
        self.stopping = stopping if stopping.any() else None
        return self.stopping is not None

    def locate(self, piece: SamplePiece, end: tuple[Floats, Tensor] | None = None) -> Floats:
        """The ends of the samples' steps, shortened to the first sign change in samples that reach their event.

        Each sample's polynomial is bisected down to the resolution of time. end: the times and states at the ends of
        shorter steps; the polynomials are shifted to agree with these.
        """
        stopping = np.zeros_like(piece.moved) if self.stopping is None else self.stopping
        before, after, dt = np.zeros(len(stopping)), np.ones(len(stopping)), piece.t1 - piece.t
        if end is not None:
            theta = np.divide(end[0] - piece.t, dt, where=stopping, out=after.copy())
            piece = piece._replace(y=piece.y + (end[1] - piece.at(column(theta, piece.y))))
        left, last = stopping, self._end
        while True:
            middle = (before + after) / 2
            t = piece.t + middle * dt
            left = left & (t != piece.t + before * dt) & (t != piece.t + after * dt)
            if not left.any():
                self._store_entries(last, stopping)
                return np.where(stopping, piece.t + after * dt, piece.t1)
            y = piece.at(column(middle, piece.y)).where(mask(stopping, piece.y), piece.y)
            signs = self._signs_at(column(t, piece.y), y)
            changed = self._changed(signs).any(dim=1)
            last = torch.where(changed.unsqueeze(1), signs, last)
            earlier = changed.cpu().numpy()
            before, after = np.where(left & ~earlier, middle, before), np.where(left & earlier, middle, after)

    def stopped(self, t: Floats, y: Tensor) -> Bools:
        """The samples that have reached their event at (t, y), the end of the current step; the events are stored."""
        stopping, self.stopping = np.zeros_like(t, dtype=np.bool_) if self.stopping is None else self.stopping, None
        self.found = self.found._replace(
            t=np.where(stopping, t, self.found.t), y=torch.where(mask(stopping, y), y, self.found.y)
        )
        return stopping

    def _store_entries(self, signs: Tensor, stopping: Bools) -> None:
        entry = self._changed(signs).int().argmax(dim=1).cpu().numpy()
        self.found = self.found._replace(entry=np.where(stopping, entry, self.found.entry))

    def _signs_at(self, t: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.sign(entries(self._event, self._f, t, y))

    def _changed(self, signs: Tensor) -> Tensor:
        changed = (signs != self._signs) & (self._signs != 0) & ~signs.isnan()
        return changed if self._event.direction == 0 else changed & (self._signs == -self._event.direction)


def entries(event: Event, f: RightHandSide, t: Tensor, y: Tensor) -> Tensor:
    """The entries of g for each sample (B, m) at times (B, 1) and flat states (B, n); for booleans, 1 and -1."""
    g = event.g(f.time(t), f.restore(y))
    if not isinstance(g, Tensor):
        raise CallTypeError(f"g returned a {type(g).__name__} for {_needed(len(y))}")
    if g.dim() == 0 or len(g) != len(y) or g.is_complex():
        raise CallError(f"g returned {g.dtype} of shape {tuple(g.shape)} for {_needed(len(y))}")
    g = g.reshape(len(y), -1)
    return 2.0 * g - 1.0 if g.dtype is torch.bool else g


def _needed(samples: int) -> str:
    """The required shape of g's value, as part of an error message."""
    return (
        f"{samples} samples: with batch='independent' an event is a real tensor ({samples},) or ({samples}, m), with "
        "entries of each sample's own"
    )
