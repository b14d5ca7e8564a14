"""SOLVERS: the one registry of methods, name to value."""

from node.solvers.base import Solver, Step
from node.solvers.bosh3 import BOSH3
from node.solvers.dopri5 import DOPRI5
from node.solvers.dopri8 import DOPRI8
from node.solvers.euler import EULER
from node.solvers.heun import HEUN
from node.solvers.midpoint import MIDPOINT
from node.solvers.rk4 import RK4
from node.solvers.rk4_38 import RK4_38
from node.solvers.runge_kutta import ExplicitRungeKutta
from node.solvers.tsit5 import TSIT5

SOLVERS: dict[str, Solver] = {
    solver.name: solver for solver in (EULER, MIDPOINT, HEUN, RK4, RK4_38, BOSH3, DOPRI5, TSIT5, DOPRI8)
}

__all__ = ["SOLVERS", "ExplicitRungeKutta", "Solver", "Step"]
