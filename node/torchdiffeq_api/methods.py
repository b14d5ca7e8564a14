"""torchdiffeq's names of methods, and the corresponding solvers of `node`."""

from collections.abc import Mapping

from node.solvers import SOLVERS, Solver
from node.solvers.multistep.adams import Adams, AdamsBashforth, AdamsBashforthMoulton

ADAPTIVE: Mapping[str, Solver] = {
    **{name: SOLVERS[name] for name in ("dopri5", "dopri8", "tsit5", "bosh3", "fehlberg2")},
    "adaptive_heun": SOLVERS["heun"],
}
FIXED: Mapping[str, Solver] = {
    "euler": SOLVERS["euler"],
    "midpoint": SOLVERS["midpoint"],
    "heun2": SOLVERS["heun"],
    "heun3": SOLVERS["heun3"],
    "rk4": SOLVERS["rk4_38"],
}
ADAMS: Mapping[str, type[Adams]] = {
    "explicit_adams": AdamsBashforth,
    "implicit_adams": AdamsBashforthMoulton,
    "fixed_adams": AdamsBashforthMoulton,  # the older name of implicit_adams
}
SCIPY = "scipy_solver"

METHODS = (*ADAPTIVE, *FIXED, *ADAMS, SCIPY)
