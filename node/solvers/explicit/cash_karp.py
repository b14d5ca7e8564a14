"""Cash & Karp (1990), "A variable order Runge-Kutta method for initial value problems with rapidly varying right-hand
sides", ACM Trans. Math. Softw. 16(3), 201-222.

Order 5 with an embedded order 4. Six stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

CASH_KARP = SOLVERS.register(
    ExplicitRungeKutta(
        "cash_karp",
        order=5,
        error_order=5,
        dense_order=3,
        source="Cash & Karp (1990), ACM Trans. Math. Softw. 16(3), 201-222",
        tableau=ButcherTableau(
            c=(0.0, 1 / 5, 3 / 10, 3 / 5, 1.0, 7 / 8),
            a=(
                (),
                (1 / 5,),
                (3 / 40, 9 / 40),
                (3 / 10, -9 / 10, 6 / 5),
                (-11 / 54, 5 / 2, -70 / 27, 35 / 27),
                (1631 / 55296, 175 / 512, 575 / 13824, 44275 / 110592, 253 / 4096),
            ),
            b=(37 / 378, 0.0, 250 / 621, 125 / 594, 0.0, 512 / 1771),
            b_error=(
                37 / 378 - 2825 / 27648,
                0.0,
                250 / 621 - 18575 / 48384,
                125 / 594 - 13525 / 55296,
                -277 / 14336,
                512 / 1771 - 1 / 4,
            ),
        ),
    )
)
