"""Euler's implicit method: Hairer & Wanner (1996), "Solving Ordinary Differential Equations II", section IV.1.

Order 1 with the error estimate dt / 2 (f1 - f0), the leading term of the local error. L-stable: stiff components are
damped in one step, however large. One implicit stage, FSAL. Linear interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.implicit.esdirk import ESDIRK, ESDIRKTableau

IMPLICIT_EULER = SOLVERS.register(
    ESDIRK(
        "implicit_euler",
        order=1,
        error_order=2,
        dense_order=1,
        source="Hairer & Wanner (1996), Solving Ordinary Differential Equations II, 2nd ed., section IV.1",
        tableau=ESDIRKTableau(gamma=1.0, c=(0.0, 1.0), a=((), (0.0,)), b_error=(-0.5, 0.5)),
    )
)
