"""SOLVERS: the one registry of methods, name to value."""

from node.solvers.base import Solver, Step
from node.solvers.explicit.bosh3 import BOSH3
from node.solvers.explicit.cash_karp import CASH_KARP
from node.solvers.explicit.dopri5 import DOPRI5
from node.solvers.explicit.dopri8 import DOPRI8
from node.solvers.explicit.euler import EULER
from node.solvers.explicit.fehlberg2 import FEHLBERG2
from node.solvers.explicit.fehlberg45 import FEHLBERG45
from node.solvers.explicit.heun import HEUN
from node.solvers.explicit.heun3 import HEUN3
from node.solvers.explicit.midpoint import MIDPOINT
from node.solvers.explicit.ralston import RALSTON
from node.solvers.explicit.rk4 import RK4
from node.solvers.explicit.rk4_38 import RK4_38
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.ssprk3 import SSPRK3
from node.solvers.explicit.tsit5 import TSIT5
from node.solvers.explicit.vern7 import VERN7
from node.solvers.implicit.esdirk import ESDIRK
from node.solvers.implicit.implicit_euler import IMPLICIT_EULER
from node.solvers.implicit.kencarp4 import KENCARP4
from node.solvers.implicit.kencarp58 import KENCARP58
from node.solvers.implicit.kvaerno3 import KVAERNO3
from node.solvers.implicit.rodas4 import RODAS4
from node.solvers.implicit.rodas5p import RODAS5P
from node.solvers.implicit.rosenbrock import Rosenbrock
from node.solvers.multistep.adams import (
    AB2,
    AB3,
    AB4,
    AB5,
    ABM2,
    ABM3,
    ABM4,
    ABM5,
    AdamsBashforth,
    AdamsBashforthMoulton,
)
from node.solvers.reversible.asynchronous_leapfrog import ALF, AsynchronousLeapfrog
from node.solvers.reversible.base import ReversibleSolver
from node.solvers.reversible.reversible_heun import REVERSIBLE_HEUN, ReversibleHeun
from node.solvers.reversible.reversible_runge_kutta import (
    REVERSIBLE_BOSH3,
    REVERSIBLE_DOPRI5,
    REVERSIBLE_MIDPOINT,
    REVERSIBLE_RK4,
    ReversibleRungeKutta,
)
from node.solvers.symplectic.leapfrog import LEAPFROG, Leapfrog

SOLVERS: dict[str, Solver] = {
    solver.name: solver
    for solver in (
        EULER,
        MIDPOINT,
        HEUN,
        RALSTON,
        HEUN3,
        SSPRK3,
        RK4,
        RK4_38,
        FEHLBERG2,
        FEHLBERG45,
        CASH_KARP,
        BOSH3,
        DOPRI5,
        TSIT5,
        VERN7,
        DOPRI8,
        AB2,
        AB3,
        AB4,
        AB5,
        ABM2,
        ABM3,
        ABM4,
        ABM5,
        ALF,
        REVERSIBLE_HEUN,
        REVERSIBLE_MIDPOINT,
        REVERSIBLE_BOSH3,
        REVERSIBLE_RK4,
        REVERSIBLE_DOPRI5,
        LEAPFROG,
        IMPLICIT_EULER,
        KVAERNO3,
        KENCARP4,
        KENCARP58,
        RODAS4,
        RODAS5P,
    )
}

__all__ = [
    "ESDIRK",
    "SOLVERS",
    "AdamsBashforth",
    "AdamsBashforthMoulton",
    "AsynchronousLeapfrog",
    "ExplicitRungeKutta",
    "Leapfrog",
    "ReversibleHeun",
    "ReversibleRungeKutta",
    "ReversibleSolver",
    "Rosenbrock",
    "Solver",
    "Step",
]
