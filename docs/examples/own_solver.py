"""A user's own solver: Zonneveld's method of order 4 with an embedded method of order 3, as a tableau.

    nodebench check docs/examples/own_solver.py

A sweep that names this file, `use = ["own_solver.py"]`, has solver = ["zonneveld43", "dopri5"]. Every gradient mode,
per-sample stepping and events work with it as with the solvers that ship.
"""

from node import SOLVERS, ButcherTableau
from node.solvers import ExplicitRungeKutta

B = (1 / 6, 1 / 3, 1 / 3, 1 / 6, 0.0)
B_OF_ORDER_3 = (-1 / 2, 7 / 3, 7 / 3, 13 / 6, -16 / 3)

SOLVERS.register(
    ExplicitRungeKutta(
        "zonneveld43",
        order=4,
        error_order=4,
        dense_order=3,
        source="Zonneveld (1963); Hairer, Norsett & Wanner (1993), table II.4.2",
        tableau=ButcherTableau(
            c=(0.0, 1 / 2, 1 / 2, 1.0, 3 / 4),
            a=((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0), (5 / 32, 7 / 32, 13 / 32, -1 / 32)),
            b=B,
            b_error=tuple(b - other for b, other in zip(B, B_OF_ORDER_3, strict=True)),
        ),
    )
)
