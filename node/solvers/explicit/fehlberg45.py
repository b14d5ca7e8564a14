"""Fehlberg (1969), "Low-order classical Runge-Kutta formulas with stepsize control", NASA TR R-315.

Order 4, propagated as Fehlberg proposed, with an embedded order 5 for the error estimate, so that the global error is
proportional to the tolerance to the power 4/5. Six stages. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

FEHLBERG45 = SOLVERS.register(
    ExplicitRungeKutta(
        "fehlberg45",
        order=4,
        error_order=5,
        dense_order=3,
        source="Fehlberg (1969), NASA TR R-315",
        tableau=ButcherTableau(
            c=(0.0, 1 / 4, 3 / 8, 12 / 13, 1.0, 1 / 2),
            a=(
                (),
                (1 / 4,),
                (3 / 32, 9 / 32),
                (1932 / 2197, -7200 / 2197, 7296 / 2197),
                (439 / 216, -8.0, 3680 / 513, -845 / 4104),
                (-8 / 27, 2.0, -3544 / 2565, 1859 / 4104, -11 / 40),
            ),
            b=(25 / 216, 0.0, 1408 / 2565, 2197 / 4104, -1 / 5, 0.0),
            b_error=(
                25 / 216 - 16 / 135,
                0.0,
                1408 / 2565 - 6656 / 12825,
                2197 / 4104 - 28561 / 56430,
                -1 / 5 + 9 / 50,
                -2 / 55,
            ),
        ),
    )
)
