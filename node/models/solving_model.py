"""The base of models that solve, with the arguments of their solves."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from torch import Tensor, nn

from node.adjoint import Adjoint
from node.controller import Controller
from node.entrance import solve
from node.event import Event
from node.solution import Solution
from node.solvers import Solver
from node.trajectory import Callbacks
from node.vector_field import S, VectorField


class Solving(TypedDict):
    """The arguments of `node.solve` that a model is built with; `event` and `dense` are given for each solve.

    parameters: the tensors that get gradients if they are not parameters of the vector field, by default the field's
    own. They do not become parameters of the model.
    """

    controller: Controller
    gradient: NotRequired[str | Adjoint]
    parameters: NotRequired[Iterable[Tensor] | None]
    batch: NotRequired[str]
    callbacks: NotRequired[Callbacks | None]
    max_steps: NotRequired[int]


class SolvingModel(nn.Module):
    """A model that stores the solver and the other arguments of its solves."""

    def __init__(
        self,
        solver: str | Solver,
        *,
        controller: Controller,
        gradient: str | Adjoint = "backprop",
        parameters: Iterable[Tensor] | None = None,
        batch: str = "joint",
        callbacks: Callbacks | None = None,
        max_steps: int = 1_000_000,
    ) -> None:
        super().__init__()
        self.solver = solver
        self.controller = controller
        self.gradient = gradient
        self.batch = batch
        self.callbacks = callbacks
        self.max_steps = max_steps
        # Not named `parameters`, which is a method of modules; a single Tensor is kept, so that `solve` refuses it.
        self._targets = parameters if parameters is None or isinstance(parameters, Tensor) else tuple(parameters)

    def _solution(
        self, f: VectorField[S], y0: S, t: Tensor, *, event: Event | None = None, dense: bool = False
    ) -> Solution[S]:
        """The solution of y' = f(t, y) from y0, whatever its status."""
        return solve(
            f,
            y0,
            t,
            solver=self.solver,
            controller=self.controller,
            gradient=self.gradient,
            parameters=self._targets,
            event=event,
            dense=dense,
            callbacks=self.callbacks,
            batch=self.batch,
            max_steps=self.max_steps,
        )
