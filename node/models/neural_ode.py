"""A vector field that has been given a way to be solved."""

from torch import Tensor, nn

from node.adjoint import Adjoint
from node.controller import Controller
from node.solution import Solution
from node.solve import solve
from node.solvers import Solver
from node.vector_field import VectorField


class NeuralODE(nn.Module):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", NeurIPS.

    forward(y0, t): y0 (*shape), t (n,) -> states (n, *shape). A solve that fails raises SolveError, so that no
    NaN is trained on; `solve` returns the Solution with its status and statistics instead.
    """

    def __init__(
        self,
        vector_field: VectorField[Tensor],
        solver: str | Solver,
        *,
        controller: Controller,
        gradient: str | Adjoint = "backprop",
        max_steps: int = 1_000_000,
    ):
        super().__init__()
        self.vector_field = vector_field
        self.solver = solver
        self.controller = controller
        self.gradient = gradient
        self.max_steps = max_steps

    def solve(self, y0: Tensor, t: Tensor) -> Solution[Tensor]:
        """The solution with its statistics, whatever its status."""
        return solve(
            self.vector_field,
            y0,
            t,
            solver=self.solver,
            controller=self.controller,
            gradient=self.gradient,
            max_steps=self.max_steps,
        )

    def forward(self, y0: Tensor, t: Tensor) -> Tensor:
        """States (len(t), *y0.shape) at the times t."""
        return self.solve(y0, t).require_success().y
