"""The registered solvers by family, for tests that hold for some of them."""

from node import SOLVERS
from node.solvers import (
    ESDIRK,
    AdamsBashforth,
    AdamsBashforthMoulton,
    ExplicitRungeKutta,
    ReversibleRungeKutta,
    ReversibleSolver,
    Rosenbrock,
)

EXPLICIT = {name: solver for name, solver in SOLVERS.items() if isinstance(solver, ExplicitRungeKutta)}
MULTISTEP = {
    name: solver for name, solver in SOLVERS.items() if isinstance(solver, AdamsBashforth | AdamsBashforthMoulton)
}
REVERSIBLE = {name: solver for name, solver in SOLVERS.items() if isinstance(solver, ReversibleSolver)}
REVERSIBLE_RUNGE_KUTTA = {
    name: solver for name, solver in REVERSIBLE.items() if isinstance(solver, ReversibleRungeKutta)
}
# Solvers whose step depends on y alone, not on the steps before it.
ONE_STEP = {name: solver for name, solver in SOLVERS.items() if name not in MULTISTEP | REVERSIBLE}
IMPLICIT = {name: solver for name, solver in SOLVERS.items() if isinstance(solver, ESDIRK | Rosenbrock)}
ROSENBROCK = {name: solver for name, solver in IMPLICIT.items() if isinstance(solver, Rosenbrock)}
ADAPTIVE = {name: solver for name, solver in SOLVERS.items() if solver.adaptive}
# Solvers whose error is a few tolerances; at order 1 it is about the square root of the tolerance.
PRECISE = {name: solver for name, solver in ADAPTIVE.items() if solver.order > 1}
# Solvers that keep a tight tolerance also on a contraction, unlike undamped reversible methods.
CONTROLLED = {name: solver for name, solver in PRECISE.items() if name not in REVERSIBLE}
