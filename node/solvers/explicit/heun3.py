"""Heun (1900), "Neue Methoden zur approximativen Integration ...", Z. Math. Phys. 45, 23-38.

Heun's method of order 3, no error estimate. Three stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

HEUN3 = SOLVERS.register(
    ExplicitRungeKutta(
        "heun3",
        order=3,
        error_order=None,
        dense_order=3,
        source="Heun (1900), Z. Math. Phys. 45, 23-38: the method of order 3",
        tableau=ButcherTableau(c=(0.0, 1 / 3, 2 / 3), a=((), (1 / 3,), (0.0, 2 / 3)), b=(1 / 4, 0.0, 3 / 4)),
    )
)
