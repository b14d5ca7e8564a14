"""What every solver is: a value with a name, its orders and one step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from node.registry import Registry
from node.vector_field import RightHandSide, Time


class Step(NamedTuple):
    """One step's outcome. States are flat: (n,), or with per-sample stepping (B, n)."""

    y1: Tensor
    error: Tensor | None  # estimate of y1's local error; None where it was not asked for
    carry: Any  # what the next step starts from, as `start` gives it; None: not known before f is called at (t1, y1)
    stages: Any = None  # what else dense output takes; it holds until the next step in the same workspace


class Solver(ABC):
    """A method that goes on from one state and what it carries along with it.

    Time and step size are floats; with per-sample stepping, columns (B, 1) that broadcast against the states (B, n).
    A step leaves y and carry alone, so that it can be tried again with a smaller dt.
    """

    kind: ClassVar[str]  # what it is, in a few words
    needs_jacobian: ClassVar[bool] = False  # whether a step takes df/dy
    separable: ClassVar[bool] = False  # whether it solves q' = g(t, p), p' = h(t, q) alone, which `unsuited` tells
    self_starting: ClassVar[bool] = False  # whether the carry at (t, y) is always start(f, t, y), with no past in it

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in SOLVERS."""

    @property
    @abstractmethod
    def order(self) -> int:
        """The order of y1."""

    @property
    @abstractmethod
    def error_order(self) -> int | None:
        """The power of dt in the error estimate; None where there is none."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The paper, for people."""

    @property
    @abstractmethod
    def dense_order(self) -> int:
        """The order of dense output within a step, whose local error is O(dt^(dense_order + 1))."""

    @property
    def summary(self) -> str:
        """A line for people."""
        estimate = "adaptive or fixed steps" if self.adaptive else "fixed steps"
        return f"{self.kind}, {estimate}, dense output of order {self.dense_order}"

    @property
    def adaptive(self) -> bool:
        """Whether a step carries an error estimate, without which no tolerance can be kept."""
        return self.error_order is not None

    @property
    @abstractmethod
    def stages(self) -> int:
        """Evaluations of f in a step; one fewer where it hands one on."""

    @property
    def dense_with_f1(self) -> bool:
        """Whether dense output needs the next step's carry, which the loop then asks for early."""
        return False

    def unsuited(self, _f: RightHandSide, _t: Time, _y: Tensor, /) -> str:
        """Why it cannot solve f from (t, y), and what can; empty if it can."""
        return ""

    @abstractmethod
    def workspace(self, y0: Tensor, *, record: bool) -> Any:
        """Storage for the stages of one step at a time; with `record`, autograd can differentiate through it."""

    @abstractmethod
    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Any:
        """What a step from (t, y) starts from, a tensor or a tuple of them; f0 = f(t, y), if it is known."""

    @abstractmethod
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any, *, estimate: bool
    ) -> Step:
        """From y at t to y1 at t + dt, given the carry at (t, y); `estimate` asks for the error."""

    def advance(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Any, workspace: Any) -> Tensor:
        """y1 alone: a step without the evaluations that only its estimate, its dense output or the next step take."""
        return self.step(f, t, y, dt, carry, workspace, estimate=False).y1

    @abstractmethod
    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """Dense output of the step just taken: C (degree, *y.shape) with y(t + theta dt) = y + sum_j theta^j C_j."""


@dataclass(frozen=True, slots=True)  # slots take the place of the properties, which a field alone does not
class TableauSolver(Solver):
    """A solver that is given as data: a tableau, with its name, its orders and its paper."""

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
