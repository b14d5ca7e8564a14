"""Solvers, with one folder for each family. SOLVERS: the one registry of methods, name to value."""

from node.solvers.base import SOLVERS, Solver, Step, TableauSolver
from node.solvers.explicit.runge_kutta import ExplicitRungeKutta
from node.solvers.explicit.tableau import ButcherTableau
from node.solvers.implicit.esdirk import ESDIRK
from node.solvers.implicit.rosenbrock import Rosenbrock
from node.solvers.multistep.adams import AdamsBashforth, AdamsBashforthMoulton
from node.solvers.reversible.asynchronous_leapfrog import AsynchronousLeapfrog
from node.solvers.reversible.base import ReversibleSolver
from node.solvers.reversible.reversible_heun import ReversibleHeun
from node.solvers.reversible.reversible_runge_kutta import ReversibleRungeKutta
from node.solvers.symplectic.leapfrog import Leapfrog

SOLVERS.collect()

__all__ = [
    "ESDIRK",
    "SOLVERS",
    "AdamsBashforth",
    "AdamsBashforthMoulton",
    "AsynchronousLeapfrog",
    "ButcherTableau",
    "ExplicitRungeKutta",
    "Leapfrog",
    "ReversibleHeun",
    "ReversibleRungeKutta",
    "ReversibleSolver",
    "Rosenbrock",
    "Solver",
    "Step",
    "TableauSolver",
]
