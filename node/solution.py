"""What a solve gives back: the states, how it ended, and what it cost."""

from dataclasses import dataclass
from enum import Enum

from torch import Tensor


class SolveError(RuntimeError):
    """A solve that did not reach its end time, raised where a caller asked for success."""


class Status(Enum):
    """How a solve ended. The value is a sentence that says what to do."""

    success = "the end time was reached"
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


@dataclass
class Stats:
    """What a solve cost. The backward counts are zero until the backward pass has run."""

    nfe_forward: int = 0  # calls of f in the forward pass
    nfe_backward: int = 0  # calls of f in the backward pass
    vjp_backward: int = 0  # vector-Jacobian products of f in the backward pass
    n_accepted: int = 0
    n_rejected: int = 0


@dataclass(frozen=True)
class Solution:
    """States y (len(t), *y0.shape) at times t. Where the solve did not get to, y is NaN."""

    t: Tensor
    y: Tensor
    status: Status
    stats: Stats

    def require_success(self) -> "Solution":
        """This solution, or a SolveError with the advice of its status."""
        if self.status is not Status.success:
            raise SolveError(f"{self.status.name}: {self.status.value}")
        return self
