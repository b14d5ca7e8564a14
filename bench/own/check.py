"""The check of a user's problem, backend, solver or gradient mode: each claim is tested by trying it."""

from collections.abc import Iterator

from bench.extensions import BACKEND, GRADIENT, PROBLEM, SOLVER
from bench.own.backend import backend_claims
from bench.own.finding import Finding, checked
from bench.own.gradient import gradient_claims
from bench.own.problem import problem_claims
from bench.own.solver import solver_claims

_CLAIMS = {
    PROBLEM: problem_claims,
    BACKEND: backend_claims,
    SOLVER: solver_claims,
    GRADIENT: gradient_claims,
}


def findings(kind: str, name: str) -> Iterator[Finding]:
    """A finding for each claim on the object registered under this name."""
    yield from checked(f"{kind} {name}", _CLAIMS[kind](name))
