"""Every way to differentiate a solve. ADJOINTS: the one registry, name to value."""

from node.adjoint.backprop import Backprop
from node.adjoint.base import Adjoint, InitialValueProblem
from node.adjoint.continuous import ContinuousAdjoint
from node.adjoint.norms import AdjointNorm, block_norm, seminorm

ADJOINTS: dict[str, Adjoint] = {mode.name: mode for mode in (Backprop(), ContinuousAdjoint())}

__all__ = [
    "ADJOINTS",
    "Adjoint",
    "AdjointNorm",
    "Backprop",
    "ContinuousAdjoint",
    "InitialValueProblem",
    "block_norm",
    "seminorm",
]
