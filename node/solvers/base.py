"""What every solver is: a value with a name, an order and one step."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from node.vector_field import FlatField


class Step(NamedTuple):
    """One step's outcome. All states are flat, of shape (n,)."""

    y1: Tensor
    error: Tensor | None  # estimate of y1's local error; None where it was not asked for
    f1: Tensor | None  # f(t1, y1) where the method has evaluated it (FSAL)


@dataclass(frozen=True)
class Solver(ABC):
    """A one-step method. `order` is that of y1; `error_order` the power of dt in the error estimate, or None."""

    name: str
    order: int
    error_order: int | None
    source: str  # the paper, for people

    @property
    def adaptive(self) -> bool:
        """Whether a step carries an error estimate, without which no tolerance can be kept."""
        return self.error_order is not None

    @property
    @abstractmethod
    def stages(self) -> int:
        """Evaluations of f in a step; one fewer where FSAL hands one on."""

    @property
    @abstractmethod
    def dense_with_f1(self) -> bool:
        """Whether dense output needs f(t1, y1), which the loop then evaluates and hands on as the next f0."""

    @abstractmethod
    def workspace(self, y0: Tensor, *, record: bool) -> Any:
        """Storage for a solve's stages; with `record`, one through which autograd can differentiate."""

    @abstractmethod
    def step(self, f: FlatField, t: float, y: Tensor, dt: float, f0: Tensor, workspace: Any, *, estimate: bool) -> Step:
        """From y at t to y1 at t + dt, given f0 = f(t, y); `estimate` asks for the error."""

    @abstractmethod
    def interpolate(
        self,
        f: FlatField,
        t: float,
        y: Tensor,
        dt: float,
        f1: Tensor | None,
        workspace: Any,
        thetas: Sequence[float],
    ) -> Tensor:
        """States (len(thetas), n) at t + theta dt within the step that the workspace holds, which went from y at t."""
