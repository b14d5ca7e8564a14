"""Fehlberg (1969), "Low-order classical Runge-Kutta formulas with stepsize control", NASA TR R-315.

Order 2 with an embedded order 1. Three stages; the last is f at the embedded solution, not at y1, so no FSAL.
Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

FEHLBERG2 = SOLVERS.register(
    ExplicitRungeKutta(
        "fehlberg2",
        order=2,
        error_order=2,
        dense_order=2,
        source="Fehlberg (1969), NASA TR R-315",
        tableau=ButcherTableau(
            c=(0.0, 1 / 2, 1.0),
            a=((), (1 / 2,), (1 / 256, 255 / 256)),
            b=(1 / 512, 255 / 256, 1 / 512),
            b_error=(-1 / 512, 0.0, 1 / 512),
        ),
    )
)
