"""Every way to differentiate a solve. ADJOINTS: the one registry, name to value."""

from node.adjoint.backprop import Backprop
from node.adjoint.backward.norms import AdjointNorm, block_norm, seminorm
from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.checkpointed import Checkpointed
from node.adjoint.continuous import ContinuousAdjoint
from node.adjoint.forward import Forward
from node.adjoint.interpolating import InterpolatingAdjoint
from node.adjoint.reversible import Reversible

ADJOINTS.collect()

__all__ = [
    "ADJOINTS",
    "Adjoint",
    "AdjointNorm",
    "Backprop",
    "Checkpointed",
    "ContinuousAdjoint",
    "Forward",
    "InitialValueProblem",
    "InterpolatingAdjoint",
    "Reversible",
    "block_norm",
    "seminorm",
]
