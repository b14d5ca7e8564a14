"""Euler (1768), "Institutionum calculi integralis", vol. 1, sect. 2, ch. 7.

Order 1, no error estimate. One stage. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau

EULER = SOLVERS.register(
    ExplicitRungeKutta(
        "euler",
        order=1,
        error_order=None,
        dense_order=1,
        source="Euler (1768), Institutionum calculi integralis, vol. 1, sect. 2, ch. 7",
        tableau=ButcherTableau(c=(0.0,), a=((),), b=(1.0,)),
    )
)
