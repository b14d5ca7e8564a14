"""Ralston (1962), "Runge-Kutta methods with minimum error bounds", Math. Comp. 16(80), 431-437.

Order 2 with the least bound on its local error, no error estimate. Two stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

RALSTON = SOLVERS.register(
    ExplicitRungeKutta(
        "ralston",
        order=2,
        error_order=None,
        dense_order=2,
        source="Ralston (1962), Math. Comp. 16(80), 431-437",
        tableau=ButcherTableau(c=(0.0, 2 / 3), a=((), (2 / 3,)), b=(1 / 4, 3 / 4)),
    )
)
