"""Kennedy & Carpenter (2019), "Higher-order additive Runge-Kutta schemes for ordinary differential equations".

Appl. Numer. Math. 136, 183-205: the implicit half of ARK5(4)8L[2]SAb. Order 5 with an embedded order 4, both L-stable.
Stiffly accurate, stage order 2. Eight stages, seven of them implicit, FSAL. Cubic Hermite interpolation.
"""

from node.solvers.base import SOLVERS
from node.solvers.implicit.esdirk import ESDIRK, ESDIRKTableau

_A2 = 2366667076620 / 8822750406821
_A3 = -257962897183 / 4451812247028
_A4 = -486229321650 / 11227943450093
_A5 = 621307788657 / 4714163060173
_A6 = 2036305566805 / 6583108094622
_B = (
    0.0,
    0.0,
    3517720773327 / 20256071687669,
    4569610470461 / 17934693873752,
    2819471173109 / 11655438449929,
    3296210113763 / 10722700128969,
    -1142099968913 / 5710983926999,
    2 / 9,
)
_EMBEDDED = (
    0.0,
    0.0,
    520639020421 / 8300446712847,
    4550235134915 / 17827758688493,
    1482366381361 / 6201654941325,
    5551607622171 / 13911031047899,
    -5266607656330 / 36788968843917,
    1074053359553 / 5740751784926,
)

KENCARP58 = SOLVERS.register(
    ESDIRK(
        "kencarp58",
        order=5,
        error_order=5,
        dense_order=3,
        source="Kennedy & Carpenter (2019), Appl. Numer. Math. 136, 183-205",
        tableau=ESDIRKTableau(
            gamma=2 / 9,
            c=(
                0.0,
                4 / 9,
                6456083330201 / 8509243623797,
                1632083962415 / 14158861528103,
                6365430648612 / 17842476412687,
                0.72,
                0.955,
                1.0,
            ),
            a=(
                (),
                (2 / 9,),
                (_A2, _A2),
                (_A3, _A3, 128530224461 / 14379561246022),
                (_A4, _A4, -225633144460 / 6633558740617, 1741320951451 / 6824444397158),
                (
                    _A5,
                    _A5,
                    -125196015625 / 3866852212004,
                    940440206406 / 7593089888465,
                    961109811699 / 6734810228204,
                ),
                (
                    _A6,
                    _A6,
                    -3039402635899 / 4450598839912,
                    -1829510709469 / 31102090912115,
                    -286320471013 / 6931253422520,
                    8651533662697 / 9642993110008,
                ),
                _B[:-1],
            ),
            b_error=tuple(b - embedded for b, embedded in zip(_B, _EMBEDDED, strict=True)),
        ),
    )
)
