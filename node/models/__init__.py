"""Models on top of a solve. MODELS: the one registry, name to class.

Vector fields, which a solve calls, and what is made of one and a way to solve it.
"""

from torch import nn

from node.models.augmented_neural_ode import AugmentedNeuralODE
from node.models.cnf import CNF
from node.models.concat_squash import ConcatSquash
from node.models.hamiltonian import Hamiltonian
from node.models.latent_ode import LatentODE
from node.models.mlp import MLP
from node.models.neural_ode import NeuralODE
from node.models.ode_classifier import ODEClassifier
from node.models.recognition_rnn import RecognitionRNN
from node.models.second_order import SecondOrder

MODELS: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "concat_squash": ConcatSquash,
    "second_order": SecondOrder,
    "hamiltonian": Hamiltonian,
    "neural_ode": NeuralODE,
    "augmented_neural_ode": AugmentedNeuralODE,
    "cnf": CNF,
    "recognition_rnn": RecognitionRNN,
    "latent_ode": LatentODE,
    "ode_classifier": ODEClassifier,
}

__all__ = [
    "CNF",
    "MLP",
    "MODELS",
    "AugmentedNeuralODE",
    "ConcatSquash",
    "Hamiltonian",
    "LatentODE",
    "NeuralODE",
    "ODEClassifier",
    "RecognitionRNN",
    "SecondOrder",
]
