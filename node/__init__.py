"""Neural ODEs: solvers, models and every way to differentiate a solve."""

from node import models
from node.adjoint import ADJOINTS, Backprop, ContinuousAdjoint
from node.controller import FixedStep, PIDController
from node.models import MODELS, NeuralODE
from node.solution import Solution, SolveError, Stats, Status
from node.solve import solve
from node.solvers import SOLVERS
from node.tableau import ButcherTableau
from node.vector_field import Counted, VectorField

__all__ = [
    "ADJOINTS",
    "MODELS",
    "SOLVERS",
    "Backprop",
    "ButcherTableau",
    "ContinuousAdjoint",
    "Counted",
    "FixedStep",
    "NeuralODE",
    "PIDController",
    "Solution",
    "SolveError",
    "Stats",
    "Status",
    "VectorField",
    "models",
    "solve",
]
