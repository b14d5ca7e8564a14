"""Kutta (1901), "Beitrag zur naeherungsweisen Integration totaler Differentialgleichungen", Z. Math. Phys. 46, 435-453.

The classical method: order 4, no error estimate. Four stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

RK4 = SOLVERS.register(
    ExplicitRungeKutta(
        "rk4",
        order=4,
        error_order=None,
        dense_order=3,
        source="Kutta (1901), Z. Math. Phys. 46, 435-453: the classical method",
        tableau=ButcherTableau(
            c=(0.0, 1 / 2, 1 / 2, 1.0),
            a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
            b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
        ),
    )
)
