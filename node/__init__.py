"""Neural ODEs: solvers, models and every way to differentiate a solve."""

from node import models
from node.adjoint import (
    ADJOINTS,
    Backprop,
    Checkpointed,
    ContinuousAdjoint,
    Forward,
    InterpolatingAdjoint,
    Reversible,
)
from node.controller import COEFFICIENTS, FixedGrid, FixedStep, PIDController
from node.dense import DenseOutput
from node.event import Event, EventPoint
from node.models import MODELS, NeuralODE
from node.solution import Solution, SolveError, Stats, Status
from node.solve import solve
from node.solvers import SOLVERS
from node.solvers.explicit.tableau import ButcherTableau
from node.torchdiffeq_api import odeint, odeint_adjoint, odeint_dense, odeint_event
from node.trajectory import Callbacks
from node.vector_field import Counted, VectorField

__all__ = [
    "ADJOINTS",
    "COEFFICIENTS",
    "MODELS",
    "SOLVERS",
    "Backprop",
    "ButcherTableau",
    "Callbacks",
    "Checkpointed",
    "ContinuousAdjoint",
    "Counted",
    "DenseOutput",
    "Event",
    "EventPoint",
    "FixedGrid",
    "FixedStep",
    "Forward",
    "InterpolatingAdjoint",
    "NeuralODE",
    "PIDController",
    "Reversible",
    "Solution",
    "SolveError",
    "Stats",
    "Status",
    "VectorField",
    "models",
    "odeint",
    "odeint_adjoint",
    "odeint_dense",
    "odeint_event",
    "solve",
]
