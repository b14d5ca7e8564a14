"""The result of a solve: the states, its status and its costs."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic

from torch import Tensor

from node.dense import DenseOutput
from node.errors import NodeError
from node.event import EventPoint
from node.vector_field import S

if TYPE_CHECKING:
    from node.per_sample.dense import SampleDenseOutput


class Status(Enum):
    """The outcome of a solve. The value is a sentence that says what to do."""

    success = "the end time was reached"
    event = "the event happened before the end time: its time and state are in `event`"
    max_steps = (
        "the step limit was reached before the end time: raise max_steps, loosen the tolerance or shorten [t0, t1]"
    )
    non_finite = (
        "the state or its derivative became infinite or NaN: "
        "take a smaller step or tolerance, and check that the solution exists up to the end time"
    )
    dt_underflow = (
        "the step size fell below the resolution of time: loosen the tolerance, take float64, or use a stiff solver"
    )
    diverged = (
        "reversing the steps does not recover their start: "
        "take smaller steps, float64, a smaller coupling, or gradient='checkpointed'"
    )

    @property
    def failed(self) -> bool:
        """Whether the solve ended neither at its end time nor at an event."""
        return self not in (Status.success, Status.event)


class SolveError(NodeError, RuntimeError):
    """A solve that did not reach its end time, raised where a caller asked for success, or in a backward pass."""

    def __init__(self, message: str, status: Status | None = None) -> None:
        super().__init__(message)
        self.status = status


def require_success(status: Status) -> None:
    """Raise a SolveError with the advice of the status if it is a failure."""
    if status.failed:
        raise SolveError(f"{status.name}: {status.value}", status)


@dataclass
class Stats:
    """The costs of a solve. The backward counts are zero until the backward pass has run.

    Where each sample has its own steps, a call of f evaluates the whole batch, and steps are summed over the samples.
    """

    nfe_forward: int = 0  # calls of f in the forward pass
    nfe_backward: int = 0  # calls of f in the backward pass
    vjp_backward: int = 0  # vector-Jacobian products of f in the backward pass
    n_accepted: int = 0
    n_rejected: int = 0
    status_backward: Status | None = None  # how the last backward pass ended; None before it

    def add_forward(self, nfe: int, n_accepted: int, n_rejected: int) -> None:
        """Add the costs of a forward solve."""
        self.nfe_forward += nfe
        self.n_accepted += n_accepted
        self.n_rejected += n_rejected


@dataclass(frozen=True)
class SampleStats:
    """The status and the number of steps of each sample of a batch, where each has its own steps."""

    n_accepted: Tensor  # (B,)
    n_rejected: Tensor  # (B,)
    status: tuple[Status, ...]


@dataclass(frozen=True)
class Solution(Generic[S]):
    """The states y (len(t), *y0.shape) at times t, or a tuple of such tensors; NaN at times that were not reached.

    Where each sample has its own steps, y is (T, B, ...) for t (T,) or (B, T), and a sample that fails does not affect
    the others.
    """

    t: Tensor
    y: S
    status: Status  # with per-sample steps: that of the first failed sample, else `event` if a sample had one
    stats: Stats
    event: EventPoint[S] | None = None  # if the status, or that of a sample, is `event`
    event_entry: int = 0  # the flat index of the entry of the event's g whose sign has changed there
    # The solution as a function of time, if it was asked for; a SampleDenseOutput with per-sample steps.
    dense: "DenseOutput[S] | SampleDenseOutput[S] | None" = None
    samples: SampleStats | None = None  # with per-sample steps only

    def require_success(self) -> "Solution[S]":
        """This solution, or a SolveError with the advice of its status."""
        require_success(self.status)
        return self
