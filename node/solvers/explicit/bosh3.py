"""Bogacki & Shampine (1989), "A 3(2) pair of Runge-Kutta formulas", Appl. Math. Lett. 2(4), 321-325.

Order 3 with an embedded order 2. Four stages, FSAL. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

BOSH3 = SOLVERS.register(
    ExplicitRungeKutta(
        "bosh3",
        order=3,
        error_order=3,
        dense_order=3,
        source="Bogacki & Shampine (1989), Appl. Math. Lett. 2(4), 321-325",
        tableau=ButcherTableau(
            c=(0.0, 1 / 2, 3 / 4, 1.0),
            a=((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
            b=(2 / 9, 1 / 3, 4 / 9, 0.0),
            b_error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
        ),
    )
)
