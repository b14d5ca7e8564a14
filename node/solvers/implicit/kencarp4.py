"""Kennedy & Carpenter (2003), "Additive Runge-Kutta schemes for convection-diffusion-reaction equations".

Appl. Numer. Math. 44, 139-181: ESDIRK4(3)6L[2]SA, the implicit half of ARK4(3)6L[2]SA. Order 4 with an embedded order
3. Stiffly accurate, L-stable, stage order 2. Six stages, five of them implicit, FSAL. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.implicit.esdirk import ESDIRK, ESDIRKTableau

_B = (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 0.25)
_EMBEDDED = (
    4586570599 / 29645900160,
    0.0,
    178811875 / 945068544,
    814220225 / 1159782912,
    -3700637 / 11593932,
    61727 / 225920,
)

KENCARP4 = SOLVERS.register(
    ESDIRK(
        "kencarp4",
        order=4,
        error_order=4,
        dense_order=3,
        source="Kennedy & Carpenter (2003), Appl. Numer. Math. 44, 139-181",
        tableau=ESDIRKTableau(
            gamma=0.25,
            c=(0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0),
            a=(
                (),
                (1 / 4,),
                (8611 / 62500, -1743 / 31250),
                (5012029 / 34652500, -654441 / 2922500, 174375 / 388108),
                (15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912),
                _B[:-1],
            ),
            b_error=tuple(b - embedded for b, embedded in zip(_B, _EMBEDDED, strict=True)),
        ),
    )
)
