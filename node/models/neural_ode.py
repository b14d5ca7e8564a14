"""A Neural ODE: a vector field together with a solver, as one module."""

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

    forward(y0, t): y0 (*shape), t (n,) -> states (n, *shape). A solve that fails raises SolveError, so that training
    does not continue with NaN; `solve` returns the Solution with its status and statistics instead.
    how: the arguments for every call of `solve`; `controller` is required.
    """

    def __init__(self, vector_field: VectorField[Tensor], solver: str | Solver, **how: Unpack[Solving]) -> None:
        super().__init__(solver, **how)
        self.vector_field = vector_field

    def solve(self, y0: Tensor, t: Tensor, *, event: Event | None = None, dense: bool = False) -> Solution[Tensor]:
        """The solution with its statistics, whatever its status; `event` and `dense` are those of `node.solve`."""
        return self._solution(self.vector_field, y0, t, event=event, dense=dense)

    def forward(self, y0: Tensor, t: Tensor) -> Tensor:
        """The states (len(t), *y0.shape) at the times t."""
        return self.solve(y0, t).require_success().y
