"""A vector field that has been given a way to be solved."""

from typing import Unpack

from torch import Tensor

from node.event import Event
from node.models.base import MODELS
from node.models.solving_model import Solving, SolvingModel
from node.solution import Solution
from node.solvers import Solver
from node.vector_field import VectorField


@MODELS.register(name="neural_ode")
class NeuralODE(SolvingModel):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", NeurIPS.

    forward(y0, t): y0 (*shape), t (n,) -> states (n, *shape). A solve that fails raises SolveError, so that no
    NaN is trained on; `solve` returns the Solution with its status and statistics instead.
    how: the arguments of `solve` that it always solves with; `controller` is needed.
    """

    def __init__(self, vector_field: VectorField[Tensor], solver: str | Solver, **how: Unpack[Solving]) -> None:
        super().__init__(solver, **how)
        self.vector_field = vector_field

    def solve(self, y0: Tensor, t: Tensor, *, event: Event | None = None, dense: bool = False) -> Solution[Tensor]:
        """The solution with its statistics, whatever its status; it may stop at an event, and be kept as a function."""
        return self._solution(self.vector_field, y0, t, event=event, dense=dense)

    def forward(self, y0: Tensor, t: Tensor) -> Tensor:
        """States (len(t), *y0.shape) at the times t."""
        return self.solve(y0, t).require_success().y
