"""Models on top of a solve. MODELS: the one registry, name to class."""

from torch import nn

from node.models.mlp import MLP
from node.models.neural_ode import NeuralODE

MODELS: dict[str, type[nn.Module]] = {"mlp": MLP, "neural_ode": NeuralODE}

__all__ = ["MLP", "MODELS", "NeuralODE"]
