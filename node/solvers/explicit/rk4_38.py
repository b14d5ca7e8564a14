"""Kutta (1901), "Beitrag zur naeherungsweisen Integration totaler Differentialgleichungen", Z. Math. Phys. 46, 435-453.

The 3/8 rule, which torchdiffeq calls rk4: order 4, no error estimate. Four stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

RK4_38 = SOLVERS.register(
    ExplicitRungeKutta(
        "rk4_38",
        order=4,
        error_order=None,
        dense_order=3,
        source="Kutta (1901), Z. Math. Phys. 46, 435-453: the 3/8 rule",
        tableau=ButcherTableau(
            c=(0.0, 1 / 3, 2 / 3, 1.0),
            a=((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)),
            b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
        ),
    )
)
