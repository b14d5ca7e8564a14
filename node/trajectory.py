"""What a solve has found, and what it can be told and tells of on the way."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor

from node.solution import SampleStats, Status

if TYPE_CHECKING:
    from node.per_sample.events import SampleEvents

Callback = Callable[[Any, Any, Any], None]  # of t, y and dt


@dataclass(frozen=True)
class Callbacks:
    """Called in every step with its start t, the state there and the step size tried, signed.

    step: before a step is tried. accept, reject: after, by its outcome.

    t and dt are floats. Where each sample has its own steps they are tensors (B,), in float64 on the CPU, and dt is
    zero in the samples that a call does not speak of: with `step` those that have ended, with `accept` and `reject`
    also those whose step had the other outcome. There is a call only where it speaks of a sample. The state of one that
    has ended is of no meaning.
    """

    step: Callback | None = None
    accept: Callback | None = None
    reject: Callback | None = None


class TakenStep(NamedTuple):
    """An accepted step, as it can be recomputed from its y and carry."""

    t: float
    t1: float
    restarted: bool  # whether its carry was the solver's start at (t, y), not handed on
    within: Sequence[float]  # the output times within it
    lands: bool  # whether an output is its end
    limits: tuple[float, float]  # between which f was called


class Jumps(Protocol):
    """Times at which the state of a solve jumps: met by its steps, or passed by them and made up for."""

    @property
    def stops(self) -> Sequence[float]:
        """Times that steps must end at, in the solve's order."""

    def end(self, t: float, t1: float) -> float:
        """The end of a step from t that may go to t1."""

    def begin(self, t: float, t1: float) -> bool:
        """Hear of each step before it is tried; tell whether f is another one than before."""

    def finish(self, t1: float, y1: Tensor) -> Tensor | None:
        """Hear of each accepted step's end; give the state there if it is another than y1."""


@dataclass(frozen=True)
class Trajectory:
    """What a loop has found, and where it has got to. The state is flat, of shape (n,), and time is a float."""

    t: float
    y: Tensor
    outputs: Sequence[Tensor]  # pieces of shape (m, n), in order of time
    n_outputs: int
    # Dense output, where it was asked for: of type DensePiece, or SamplePiece where each sample has its own steps.
    pieces: Sequence[Any] = ()
    status: Status = Status.success
    n_accepted: int = 0
    n_rejected: int = 0
    entry: int = 0  # of g, counted flat, whose sign has changed, where the status is `event`
    events: "SampleEvents | None" = None  # where each sample stops at its own
    samples: SampleStats | None = None  # where each has its own steps; counts are then their sums, and y is (B, n)

    def at_outputs(self) -> Tensor:
        """States (n_outputs, n) at the output times; NaN where the loop did not get to."""
        missing = self.n_outputs - sum(map(len, self.outputs))
        if not missing:
            return torch.cat(tuple(self.outputs))
        return torch.cat((*self.outputs, self.y.new_full((missing, len(self.y)), math.nan)))
