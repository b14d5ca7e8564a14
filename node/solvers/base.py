"""The base of all solvers: a value with a name, its orders and one step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from node.registry import Registry
from node.vector_field import RightHandSide, Time


class Step(NamedTuple):
    """The result of one step. States are flat: (n,), or with per-sample stepping (B, n)."""

    y1: Tensor
    error: Tensor | None  # estimate of y1's local error; None if it was not asked for
    carry: Any  # the carry at the start of the next step, as `start` gives it; None: unknown until f(t1, y1) is called
    stages: Any = None  # the other data for dense output; valid until the next step in the same workspace


class Solver(ABC):
    """A method that advances a state, together with a carry: data that it passes from step to step.

    Time and step size are floats; with per-sample stepping, columns (B, 1) that broadcast against the states (B, n).
    A step does not change y and carry, so that it can be tried again with a smaller dt.
    """

    kind: ClassVar[str]  # the kind of method in a few words
    needs_jacobian: ClassVar[bool] = False  # whether a step needs df/dy
    separable: ClassVar[bool] = False  # whether it solves only q' = g(t, p), p' = h(t, q), which `unsuited` checks
    self_starting: ClassVar[bool] = False  # whether the carry at (t, y) is always start(f, t, y), without past steps

    @property
    @abstractmethod
    def name(self) -> str:
        """The solver's name in SOLVERS."""

    @property
    @abstractmethod
    def order(self) -> int:
        """The order of y1."""

    @property
    @abstractmethod
    def error_order(self) -> int | None:
        """The power of dt in the error estimate; None if there is no estimate."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The citation of the method's paper."""

    @property
    @abstractmethod
    def dense_order(self) -> int:
        """The order of dense output within a step, whose local error is O(dt^(dense_order + 1))."""

    @property
    def summary(self) -> str:
        """One line that describes the solver."""
        estimate = "adaptive or fixed steps" if self.adaptive else "fixed steps"
        return f"{self.kind}, {estimate}, dense output of order {self.dense_order}"

    @property
    def adaptive(self) -> bool:
        """Whether a step gives an error estimate, which step size control needs."""
        return self.error_order is not None

    @property
    @abstractmethod
    def stages(self) -> int:
        """The evaluations of f in a step; one fewer if the last one is the first of the next step."""

    @property
    def dense_with_f1(self) -> bool:
        """Whether dense output needs the next step's carry, which the loop then computes early."""
        return False

    def unsuited(self, _f: RightHandSide, _t: Time, _y: Tensor, /) -> str:
        """The reason why the solver cannot solve f from (t, y), and an alternative; empty if it can."""
        return ""

    @abstractmethod
    def workspace(self, y0: Tensor, *, record: bool) -> Any:
        """The storage for the stages of one step at a time; with `record`, autograd can differentiate through it."""

    @abstractmethod
    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Any:
        """The carry for a step from (t, y), a tensor or a tuple of tensors; f0 = f(t, y), if it is known."""

    @abstractmethod
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any, *, estimate: bool
    ) -> Step:
        """The step from y at t to y1 at t + dt, given the carry at (t, y); `estimate` asks for the error."""

    def advance(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any) -> Tensor:
        """y1 alone, without the evaluations that only the error estimate, dense output or the next step need."""
        return self.step(f, t, y, dt, carry, workspace, estimate=False).y1

    @abstractmethod
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The dense output of the last step: c (degree, *y.shape) with y(t + theta dt) = y + sum_j theta^j c_j."""


@dataclass(frozen=True, slots=True)  # slots replace the abstract properties, which fields alone do not
class TableauSolver(Solver):
    """A solver that is given as data: a tableau with its name, its orders and its paper."""

    name: str = field()
    order: int = field()
    error_order: int | None = field()
    source: str = field()
    dense_order: int = field(kw_only=True)


SOLVERS: Registry[Solver] = Registry(
    "solver",
    Solver,
    entry_points="nodebench.solvers",
    package="node.solvers",
    order=lambda solver: (solver.order, solver.name),
    describe=lambda solver: solver.summary,
)
