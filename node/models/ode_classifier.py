"""A classifier with an ODE in place of hidden layers."""

import torch
from torch import Tensor, nn

from node.event import Event
from node.models.augmented_neural_ode import AugmentedNeuralODE
from node.models.base import MODELS
from node.models.neural_ode import NeuralODE
from node.solution import Solution


@MODELS.register(name="ode_classifier")
class ODEClassifier(nn.Module):
    """The ODE-Net of Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations".

    forward(x): x of any shape -> logits (..., classes) = readout(y(1)), with y(0) = embedding(x), or x itself.
    ode: solves from y(0) to y(1), with its solver, controller and gradient. readout: takes all of y(1), so that for
    images it begins with a pooling or an nn.Flatten. A solve that fails raises SolveError.
    """

    def __init__(
        self, ode: NeuralODE | AugmentedNeuralODE, readout: nn.Module, *, embedding: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.embedding = nn.Identity() if embedding is None else embedding
        self.ode = ode
        self.readout = readout

    def forward(self, x: Tensor) -> Tensor:
        """The logits (..., classes)."""
        logits: Tensor = self.readout(self.ode(self.embedding(x), _times())[-1])
        return logits

    def solve(self, x: Tensor, *, event: Event | None = None, dense: bool = False) -> Solution[Tensor]:
        """The hidden states at times 0 and 1 with the solve's statistics, whatever its status."""
        return self.ode.solve(self.embedding(x), _times(), event=event, dense=dense)


def _times() -> Tensor:
    """The start and end times 0 and 1, which are exact in any precision."""
    return torch.tensor([0.0, 1.0])
