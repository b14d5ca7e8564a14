"""SOLVERS: the one registry of methods, name to value."""

from node.solvers.adams import AB2, AB3, AB4, AB5, ABM2, ABM3, ABM4, ABM5, AdamsBashforth, AdamsBashforthMoulton
from node.solvers.asynchronous_leapfrog import ALF, AsynchronousLeapfrog
from node.solvers.base import Solver, Step
from node.solvers.bosh3 import BOSH3
from node.solvers.cash_karp import CASH_KARP
from node.solvers.dopri5 import DOPRI5
from node.solvers.dopri8 import DOPRI8
from node.solvers.esdirk import ESDIRK
from node.solvers.euler import EULER
from node.solvers.fehlberg2 import FEHLBERG2
from node.solvers.fehlberg45 import FEHLBERG45
from node.solvers.heun import HEUN
from node.solvers.heun3 import HEUN3
from node.solvers.implicit_euler import IMPLICIT_EULER
from node.solvers.kencarp4 import KENCARP4
from node.solvers.kencarp58 import KENCARP58
from node.solvers.kvaerno3 import KVAERNO3
from node.solvers.leapfrog import LEAPFROG, Leapfrog
from node.solvers.midpoint import MIDPOINT
from node.solvers.ralston import RALSTON
from node.solvers.reversible import ReversibleSolver
from node.solvers.reversible_heun import REVERSIBLE_HEUN, ReversibleHeun
from node.solvers.reversible_runge_kutta import (
    REVERSIBLE_BOSH3,
    REVERSIBLE_DOPRI5,
    REVERSIBLE_MIDPOINT,
    REVERSIBLE_RK4,
    ReversibleRungeKutta,
)
from node.solvers.rk4 import RK4
from node.solvers.rk4_38 import RK4_38
from node.solvers.rodas4 import RODAS4
from node.solvers.rodas5p import RODAS5P
from node.solvers.rosenbrock import Rosenbrock
from node.solvers.runge_kutta import ExplicitRungeKutta
from node.solvers.ssprk3 import SSPRK3
from node.solvers.tsit5 import TSIT5
from node.solvers.vern7 import VERN7

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
