"""Kvaerno (2004), "Singly diagonally implicit Runge-Kutta methods with an explicit first stage", BIT 44, 489-502.

Order 3 with an embedded order 2, the last stage but one; both are stiffly accurate, and order 3 is L-stable. Four
stages, three of them implicit, FSAL. Cubic Hermite interpolation. Method 3/2 of the paper, by its formulas in gamma.
"""

from node.solvers.base import SOLVERS
from node.solvers.implicit.esdirk import ESDIRK, ESDIRKTableau

# The middle root of g^3 - 3 g^2 + 3/2 g - 1/6, for which the stability function vanishes at infinity.
_G = 0.43586652150845899942
_A2 = ((-4 * _G**2 + 6 * _G - 1) / (4 * _G), (1 - 2 * _G) / (4 * _G))
_A3 = ((6 * _G - 1) / (12 * _G), -1 / (12 * _G * (2 * _G - 1)), (-6 * _G**2 + 6 * _G - 1) / (3 * (2 * _G - 1)))

KVAERNO3 = SOLVERS.register(
    ESDIRK(
        "kvaerno3",
        order=3,
        error_order=3,
        dense_order=3,
        source="Kvaerno (2004), BIT Numer. Math. 44(3), 489-502",
        tableau=ESDIRKTableau(
            gamma=_G,
            c=(0.0, 2 * _G, 1.0, 1.0),
            a=((), (_G,), _A2, _A3),
            b_error=(_A3[0] - _A2[0], _A3[1] - _A2[1], _A3[2] - _G, _G),
        ),
    )
)
