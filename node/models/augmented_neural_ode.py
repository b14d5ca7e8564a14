"""A Neural ODE in more dimensions than its initial states have."""

from typing import Unpack

import torch
from torch import Tensor, nn

from node.errors import CallError
from node.event import Event
from node.models.base import MODELS
from node.models.neural_ode import NeuralODE
from node.models.solving_model import Solving
from node.solution import Solution
from node.solvers import Solver
from node.vector_field import VectorField


@MODELS.register(name="augmented_neural_ode")
class AugmentedNeuralODE(nn.Module):
    """Dupont, Doucet & Teh (2019), "Augmented Neural ODEs", NeurIPS.

    The trajectories of a flow do not cross, so that a flow cannot represent some maps; with `augment_dims` zeros
    appended to the initial state they can pass each other in the new dimensions. The vector field works on
    features + augment_dims.

    forward(y0, t): y0 (..., features), t (n,) -> states (n, ..., features + augment_dims), for a readout of all
    dimensions; with `project` the first features only, (n, ..., features), to be compared with data.
    dim: the dimension to which zeros are appended, counted from the end: -1 for features, -3 for an image's channels.
    how: the arguments of a NeuralODE.
    """

    def __init__(
        self,
        vector_field: VectorField[Tensor],
        solver: str | Solver,
        *,
        augment_dims: int,
        dim: int = -1,
        project: bool = False,
        **how: Unpack[Solving],
    ) -> None:
        super().__init__()
        if augment_dims < 1:
            raise CallError(f"augment_dims is {augment_dims} and must be at least 1: without any, take a NeuralODE")
        if dim >= 0:
            raise CallError(f"dim is {dim} and is counted from the end: pass -1 for the last one")
        self.ode = NeuralODE(vector_field, solver, **how)
        self.augment_dims = augment_dims
        self.dim = dim
        self.project = project

    def augment(self, y0: Tensor) -> Tensor:
        """The initial state y0 with zeros appended."""
        shape = list(y0.shape)
        shape[self.dim] = self.augment_dims
        return torch.cat([y0, y0.new_zeros(shape)], dim=self.dim)

    def solve(self, y0: Tensor, t: Tensor, *, event: Event | None = None, dense: bool = False) -> Solution[Tensor]:
        """The solution in all dimensions with its statistics, whatever its status; an event gets all dimensions."""
        return self.ode.solve(self.augment(y0), t, event=event, dense=dense)

    def forward(self, y0: Tensor, t: Tensor) -> Tensor:
        """The states at the times t, in all dimensions or, with `project`, in those of y0."""
        y = self.solve(y0, t).require_success().y
        return y.narrow(self.dim, 0, y0.shape[self.dim]) if self.project else y
