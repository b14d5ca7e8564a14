"""The claims on a backend: it solves what it says it solves, with the known order of each method."""

import math
from dataclasses import replace
from functools import partial

from bench.backends import BACKENDS, Backend
from bench.failure import TrialFailure
from bench.measures.accuracy import errors
from bench.measures.counts import count
from bench.own.finding import Check, NotTried
from bench.problems import PROBLEMS
from bench.sweep.catalogue import catalogue
from bench.workload import require_states
from results.records import Cell

_SLACK = 0.5  # by which an observed order may be too low
_CELL = Cell(problem="exp_sin", backend="", solver="", horizon=2.0, n_outputs=3, dtype="float64")


def backend_claims(name: str) -> dict[str, Check]:
    """The claims on a backend, each with a function that says what is wrong."""
    backend = BACKENDS[name]
    claims: dict[str, Check] = {"it has solvers and gradient modes": partial(_says_what_it_has, backend)}
    for solver in backend.solvers:
        claims[f"{solver} keeps its order or its tolerance"] = partial(_converges, backend, solver)
    for gradient in backend.gradients:
        if gradient != "none":
            claims[f"{gradient} gives the true gradient"] = partial(_differentiates, backend, gradient)
    return claims | {
        "calls are counted, the same in each solve": partial(_counts, backend),
        "states have the shape and the dtype that are due": partial(_states, backend),
    }


def _says_what_it_has(backend: Backend) -> str:
    if not backend.solvers:
        return "`solvers` is empty: name its methods"
    return "" if "none" in backend.gradients else '`gradients` lacks "none", a forward solve'


def _possible(backend: Backend, cell: Cell) -> bool:
    return not backend.unsupported(cell)


def _first(backend: Backend, gradient: str = "none") -> Cell:
    """The first cell that the backend says it can solve, with tolerances if possible."""
    for solver in backend.solvers:
        for step in ({"rtol": 1e-8, "atol": 1e-8}, {"dt": 2.0**-10}):
            cell = replace(_CELL, backend=backend.name, solver=solver, gradient=gradient, **step)  # type: ignore[arg-type]
            if _possible(backend, cell):
                return cell
    raise NotTried(f"it says that it cannot do gradient = {gradient!r} with any of its solvers")


def _error(backend: Backend, cell: Cell) -> float:
    problem = PROBLEMS[cell.problem]
    return errors(cell, problem, backend.prepare(cell, problem))[0]["error"]


def _converges(backend: Backend, solver: str) -> str:
    fixed = [replace(_CELL, backend=backend.name, solver=solver, dt=2.0**-k) for k in (5, 6)]
    controlled = replace(_CELL, backend=backend.name, solver=solver, rtol=1e-6, atol=1e-6)
    known = catalogue().solvers.get(solver)
    if _possible(backend, controlled):
        error = _error(backend, controlled)
        return "" if error < 1e-3 else f"at a tolerance of 1e-6 it errs by {error:.2g} on y' = y cos t"
    if not _possible(backend, fixed[0]):
        raise NotTried(backend.unsupported(fixed[0]))
    coarse, fine = (_error(backend, cell) for cell in fixed)
    if fine < 1e-13:
        return ""
    seen = math.log2(coarse / fine)
    if known is None:
        return "" if seen > _SLACK else f"half the step leaves {fine / coarse:.2g} of the error"
    return "" if seen > known.order - _SLACK else f"order {seen:.2f} is seen, and {solver} has order {known.order}"


def _differentiates(backend: Backend, gradient: str) -> str:
    cell = _first(backend, gradient)
    problem = PROBLEMS[cell.problem]
    distance = errors(cell, problem, backend.prepare(cell, problem))[0]["gradient_error"]
    return "" if distance < 0.05 else f"it is {distance:.2g} from the true one, relatively, with {cell.label}"


def _counts(backend: Backend) -> str:
    cell = _first(backend)
    first, again = (count(cell, backend.prepare(cell, PROBLEMS[cell.problem])) for _ in range(2))
    if not first["nfe_forward"]:
        return "no call of the field is seen: call the module that `solve` is given"
    return "" if first == again else f"{first['nfe_forward']:.0f} calls, then {again['nfe_forward']:.0f}"


def _states(backend: Backend) -> str:
    for dtype in ("float32", "float64"):
        cell = replace(_first(backend), dtype=dtype, batch_size=3)
        if cell.rtol is not None:
            cell = replace(cell, rtol=1e-4, atol=1e-4)
        workload = backend.prepare(cell, PROBLEMS[cell.problem])
        try:
            require_states(workload, workload.forward())
        except TrialFailure as failure:
            return failure.reason
    return ""
