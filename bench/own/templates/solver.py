"""The solver my_solver: Kutta's method of order 3, as a tableau."""

from node import SOLVERS, ButcherTableau
from node.solvers import ExplicitRungeKutta

SOLVERS.register(
    ExplicitRungeKutta(
        "my_solver",
        order=3,
        error_order=None,  # the power of dt in the error estimate, where the tableau has `b_error`
        dense_order=3,
        source="Kutta (1901), Z. Math. Phys. 46, 435-453: the method of order 3",
        tableau=ButcherTableau(
            c=(0.0, 1 / 2, 1.0),
            a=((), (1 / 2,), (-1.0, 2.0)),
            b=(1 / 6, 2 / 3, 1 / 6),
        ),
    )
)
