"""The specification of a solve: a solver with its step or tolerances. In a sweep: "dopri5 rtol=1e-6 atol=1e-8"."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.backends import BACKENDS
from bench.failure import seen, shortened
from bench.sweep.catalogue import catalogue
from node.registry import unknown
from results.records import Cell

SMALLEST, LARGEST = 1e-30, 1e30  # of a sweep's numbers: float32 holds these, and their products with usual values
_MOST_STEPS = 1e9  # hours, at some microseconds a step
_LONGEST = 1e6  # longest step, in horizons
_STEPS = ("dt", "rtol", "atol")


@dataclass(frozen=True)
class SolveSpec:
    """A solver and either its fixed step or its tolerances."""

    solver: str
    dt: float | None = None
    rtol: float | None = None
    atol: float | None = None

    def __str__(self) -> str:
        steps = {"dt": self.dt, "rtol": self.rtol, "atol": self.atol}
        return " ".join([self.solver, *(f"{name}={value!r}" for name, value in steps.items() if value is not None)])

    def of(self, cell: Cell) -> Cell:
        """The cell with this solver and step, as a forward solve without a gradient."""
        bare = cell.without_options("solver", "gradient")
        return replace(bare, solver=self.solver, dt=self.dt, rtol=self.rtol, atol=self.atol, gradient="none")


def known_solvers() -> list[str]:
    """The solvers of every backend, our own first."""
    of_backends = (name for backend in BACKENDS.values() for name in backend.solvers)
    return list(dict.fromkeys([*catalogue().solvers, *of_backends]))


def solve_specs(text: str) -> tuple[SolveSpec, ...]:
    """The specifications in a text, separated by ";"; a ValueError of one line names the one that is wrong."""
    found: dict[SolveSpec, None] = {}
    for part in text.split(";") if text else []:
        spec = _solve_spec(part.strip())
        if spec in found:
            raise ValueError(f"{str(spec)!r} is given twice: once is enough")
        found[spec] = None
    return tuple(found)


def impossible_step(solver: str, step: Mapping[str, float]) -> str:
    """The reason why a solver cannot take this dt, or this rtol and atol; empty if it can."""
    tolerances = [name for name in ("rtol", "atol") if name in step]
    if "dt" in step and tolerances:
        return f"dt and {tolerances[0]} exclude each other: a step is fixed or controlled; keep one of the two"
    if "dt" not in step and len(tolerances) < 2:
        return f"{solver} has no step: give dt, or rtol and atol"
    ours = catalogue().solvers.get(solver)
    if tolerances and ours and not ours.adaptive:
        return f"{solver} gives no error estimate: give dt instead of rtol and atol"
    if tolerances and step["rtol"] == step["atol"] == 0:
        return "rtol and atol are both 0: no error is within that"
    return ""


def unreasonable_dt(dt: float, horizon: float) -> str:
    """The reason why steps of dt over this horizon are too many or too long; empty if they are neither."""
    if horizon > _MOST_STEPS * dt:
        return f"dt = {dt:g} makes {horizon / dt:.1e} steps to {horizon:g}: take a larger dt ({_MOST_STEPS:.0e} steps)"
    if dt > _LONGEST * horizon:  # a library may round what is left of the first step to nothing
        return f"dt = {dt:g} is far beyond the horizon, {horizon:g}: take at most that, which is one step"
    return ""


def number(value: float) -> float:
    """A step, a tolerance or a horizon as a cell stores it: 0, or within the bounds above; else a ValueError."""
    if value != 0 and not SMALLEST <= abs(value) <= LARGEST:  # NaN is not within either
        raise ValueError(f"it must be between {SMALLEST:g} and {LARGEST:g}")
    return float(value) + 0.0  # no negative zero, which is the same and would have another key


def _solve_spec(part: str) -> SolveSpec:
    solver, *steps = part.split() or [""]
    if not solver:
        raise ValueError('an empty entry: write "euler dt=0.1" or "dopri5 rtol=1e-6 atol=1e-8", with ; between two')
    if solver not in known_solvers():
        raise ValueError(f"{seen(part)}: {unknown('solver', shortened(solver), known_solvers())}")
    values: dict[str, float] = {}
    for step in steps:
        name, _, value = step.partition("=")
        if name not in _STEPS or name in values:
            raise ValueError(
                f"{seen(part)}: {seen(step)} does not do: a solver is followed by dt=..., or rtol=... and atol=..."
            )
        values[name] = _number(part, name, value)
    if reason := impossible_step(solver, values):
        raise ValueError(f"{seen(part)}: {reason}")
    return SolveSpec(solver, **values)


def _number(part: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{seen(part)}: {name}={seen(text)} is no number: write {name}=1e-3") from None
    if value < 0 or (name == "dt" and value == 0):
        least = "above" if name == "dt" else "at least"
        raise ValueError(f"{seen(part)}: {name} is {shortened(text)}: it must be finite and {least} 0")
    try:
        return number(value)
    except ValueError as error:
        raise ValueError(f"{seen(part)}: {name} is {shortened(text)}: {error}") from None
