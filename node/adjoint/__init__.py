"""Every way to differentiate a solve. ADJOINTS: the one registry, name to value."""

from node.adjoint.backprop import Backprop
from node.adjoint.base import Adjoint, InitialValueProblem
from node.adjoint.continuous import ContinuousAdjoint

ADJOINTS: dict[str, Adjoint] = {mode.name: mode for mode in (Backprop(), ContinuousAdjoint())}

__all__ = ["ADJOINTS", "Adjoint", "Backprop", "ContinuousAdjoint", "InitialValueProblem"]
