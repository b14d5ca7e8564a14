"""The trajectory of a solve, and the types of its callbacks, accepted steps and jumps."""

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
    """Functions called in every step with its start t, the state there and the signed step size dt.

    step: called before a step is tried. accept, reject: called after it, by its outcome.

    t and dt are floats. Where each sample has its own steps they are tensors (B,), in float64 on the CPU, and dt is
    zero in the samples that a call is not about: for `step` those that have ended, for `accept` and `reject` also those
    whose step had the other outcome. A call that would be about no sample is left out. The state of a sample that has
    ended has no meaning.
    """

    step: Callback | None = None
    accept: Callback | None = None
    reject: Callback | None = None


class TakenStep(NamedTuple):
    """An accepted step that can be recomputed from its y and carry."""

    t: float
    t1: float
    restarted: bool  # whether its carry was made by `Solver.start` at (t, y), not by the step before
    within: Sequence[float]  # the output times within the step
    lands: bool  # whether its end is an output
    limits: tuple[float, float]  # the first and the last time at which f was called


class Jumps(Protocol):
    """Jumps of the state of a solve at given times, at which steps end or which they pass over."""

    @property
    def stops(self) -> Sequence[float]:
        """The times that steps must end at, in the order of the solve."""

    def end(self, t: float, t1: float) -> float:
        """The end of a step from t, at most t1."""

    def begin(self, t: float, t1: float) -> bool:
        """Prepare for a step from t to t1 before it is tried; whether f differs from that of the last step."""

    def finish(self, t1: float, y1: Tensor) -> Tensor | None:
        """The state after the jumps at the end of an accepted step; None if it is y1."""


@dataclass(frozen=True)
class Trajectory:
    """The outputs of an integration loop, and the time t and flat state y (n,) that it has reached."""

    t: float
    y: Tensor
    outputs: Sequence[Tensor]  # pieces of shape (m, n), in the order of time
    n_outputs: int
    # The dense output, if it was asked for: of type DensePiece, or SamplePiece where each sample has its own steps.
    pieces: Sequence[Any] = ()
    status: Status = Status.success
    n_accepted: int = 0
    n_rejected: int = 0
    entry: int = 0  # the flat index of the entry of g whose sign has changed, if the status is `event`
    events: "SampleEvents | None" = None  # the events of the samples, with per-sample steps
    samples: SampleStats | None = None  # with per-sample steps; the counts are then sums over them, and y is (B, n)

    def at_outputs(self) -> Tensor:
        """The states (n_outputs, n) at the output times; NaN at times that the loop did not reach."""
        missing = self.n_outputs - sum(map(len, self.outputs))
        if not missing:
            return torch.cat(tuple(self.outputs))
        return torch.cat((*self.outputs, self.y.new_full((missing, len(self.y)), math.nan)))
