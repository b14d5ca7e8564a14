"""Kennedy & Carpenter (2003), "Additive Runge-Kutta schemes for convection-diffusion-reaction equations".

Appl. Numer. Math. 44, 139-181: ESDIRK5(4)8L[2]SA, the implicit half of ARK5(4)8L[2]SA. Order 5 with an embedded order
4. Stiffly accurate, L-stable, stage order 2. Eight stages, seven of them implicit, FSAL. Cubic Hermite interpolation.
"""

from node.solvers.esdirk import ESDIRK, ESDIRKTableau

_B = (
    -872700587467 / 9133579230613,
    0.0,
    0.0,
    22348218063261 / 9555858737531,
    -1143369518992 / 8141816002931,
    -39379526789629 / 19018526304540,
    32727382324388 / 42900044865799,
    41 / 200,
)
_EMBEDDED = (
    -975461918565 / 9796059967033,
    0.0,
    0.0,
    78070527104295 / 32432590147079,
    -548382580838 / 3424219808633,
    -33438840321285 / 15594753105479,
    3629800801594 / 4656183773603,
    4035322873751 / 18575991585200,
)

KENCARP5 = ESDIRK(
    "kencarp5",
    order=5,
    error_order=5,
    dense_order=3,
    source="Kennedy & Carpenter (2003), Appl. Numer. Math. 44, 139-181",
    tableau=ESDIRKTableau(
        gamma=41 / 200,
        c=(0.0, 41 / 100, 2935347310677 / 11292855782101, 1426016391358 / 7196633302097, 0.92, 0.24, 0.6, 1.0),
        a=(
            (),
            (41 / 200,),
            (41 / 400, -567603406766 / 11931857230679),
            (683785636431 / 9252920307686, 0.0, -110385047103 / 1367015193373),
            (3016520224154 / 10081342136671, 0.0, 30586259806659 / 12414158314087, -22760509404356 / 11113319521817),
            (
                218866479029 / 1489978393911,
                0.0,
                638256894668 / 5436446318841,
                -1179710474555 / 5321154724896,
                -60928119172 / 8023461067671,
            ),
            (
                1020004230633 / 5715676835656,
                0.0,
                25762820946817 / 25263940353407,
                -2161375909145 / 9755907335909,
                -211217309593 / 5846859502534,
                -4269925059573 / 7827059040749,
            ),
            _B[:-1],
        ),
        b_error=tuple(b - embedded for b, embedded in zip(_B, _EMBEDDED, strict=True)),
    ),
)
