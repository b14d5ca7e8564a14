"""Neural ODEs: solvers, models and every way to differentiate a solve.

The names are loaded on first use (PEP 562), so that importing `node.registry` alone does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from node.entrance import solve
    from node.errors import NodeError
    from node.event import Event, EventPoint
    from node.models import MODELS, NeuralODE
    from node.solution import Solution, SolveError, Stats, Status
    from node.solvers import SOLVERS, ButcherTableau
    from node.torchdiffeq_api import odeint, odeint_adjoint, odeint_dense, odeint_event
    from node.trajectory import Callbacks
    from node.vector_field import Counted, VectorField

_MODULES = {
    "node.adjoint": (
        "ADJOINTS",
        "Backprop",
        "Checkpointed",
        "ContinuousAdjoint",
        "Forward",
        "InterpolatingAdjoint",
        "Reversible",
    ),
    "node.controller": ("COEFFICIENTS", "FixedGrid", "FixedStep", "PIDController"),
    "node.dense": ("DenseOutput",),
    "node.entrance": ("solve",),
    "node.errors": ("NodeError",),
    "node.event": ("Event", "EventPoint"),
    "node.models": ("MODELS", "NeuralODE"),
    "node.solution": ("Solution", "SolveError", "Stats", "Status"),
    "node.solvers": ("SOLVERS", "ButcherTableau"),
    "node.torchdiffeq_api": ("odeint", "odeint_adjoint", "odeint_dense", "odeint_event"),
    "node.trajectory": ("Callbacks",),
    "node.vector_field": ("Counted", "VectorField"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

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
    "NodeError",
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


def __getattr__(name: str) -> Any:
    """The value of a name in `__all__`; its module is imported on first use."""
    if name == "models":
        return import_module("node.models")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
