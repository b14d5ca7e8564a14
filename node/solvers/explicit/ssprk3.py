"""Shu & Osher (1988), "Efficient implementation of essentially non-oscillatory shock-capturing schemes", J. Comp. Phys.
77(2), 439-471.

Strong-stability preserving: a convex combination of Euler steps. Order 3, no error estimate. Three stages. Cubic
Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

SSPRK3 = SOLVERS.register(
    ExplicitRungeKutta(
        "ssprk3",
        order=3,
        error_order=None,
        dense_order=3,
        source="Shu & Osher (1988), J. Comp. Phys. 77(2), 439-471",
        tableau=ButcherTableau(c=(0.0, 1.0, 1 / 2), a=((), (1.0,), (1 / 4, 1 / 4)), b=(1 / 6, 1 / 6, 2 / 3)),
    )
)
