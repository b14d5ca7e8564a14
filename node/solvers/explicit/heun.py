"""Heun (1900), "Neue Methoden zur approximativen Integration ...", Z. Math. Phys. 45, 23-38.

The explicit trapezoidal rule. Order 2 with an embedded order 1 (Euler). Two stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

HEUN = SOLVERS.register(
    ExplicitRungeKutta(
        "heun",
        order=2,
        error_order=2,
        dense_order=2,
        source="Heun (1900), Z. Math. Phys. 45, 23-38",
        tableau=ButcherTableau(c=(0.0, 1.0), a=((), (1.0,)), b=(1 / 2, 1 / 2), b_error=(-1 / 2, 1 / 2)),
    )
)
