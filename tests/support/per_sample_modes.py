"""The gradient modes that support per-sample stepping."""

import pytest

from node.adjoint import Adjoint, Backprop, Checkpointed, Reversible

EXACT = {"checkpointed": Checkpointed(), "budget 3": Checkpointed(3), "reversible": Reversible()}
MODES = {"backprop": Backprop(), **EXACT}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def solver_for(mode: Adjoint) -> str:
    return "reversible_dopri5" if isinstance(mode, Reversible) else "dopri5"
