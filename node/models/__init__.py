"""Models on top of a solve. MODELS: the one registry, name to class.

They are vector fields, which a solve calls, and modules that combine a vector field with a solver.
"""

from node.models.augmented_neural_ode import AugmentedNeuralODE
from node.models.base import MODELS
from node.models.cnf import CNF
from node.models.concat_squash import ConcatSquash
from node.models.hamiltonian import Hamiltonian
from node.models.latent_ode import LatentODE
from node.models.mlp import MLP
from node.models.neural_ode import NeuralODE
from node.models.ode_classifier import ODEClassifier
from node.models.recognition_rnn import RecognitionRNN
from node.models.second_order import SecondOrder

MODELS.collect()

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
