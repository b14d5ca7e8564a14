"""Runge (1895), "Ueber die numerische Aufloesung von Differentialgleichungen", Math. Ann. 46, 167-178.

Order 2, no error estimate. Two stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

MIDPOINT = SOLVERS.register(
    ExplicitRungeKutta(
        "midpoint",
        order=2,
        error_order=None,
        dense_order=2,
        source="Runge (1895), Math. Ann. 46, 167-178",
        tableau=ButcherTableau(c=(0.0, 1 / 2), a=((), (1 / 2,)), b=(0.0, 1.0)),
    )
)
