"""The axes of a grid: what each may hold, and what combinations of them make no sense."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from bench.backends import BACKENDS
from bench.problems import PROBLEMS
from node import ADJOINTS, SOLVERS
from node.solve import unknown

_Positive = Annotated[StrictFloat | StrictInt, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[StrictFloat | StrictInt, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[StrictInt, Field(ge=1)]
_Natural = Annotated[StrictInt, Field(ge=0)]

_KINDS: Mapping[str, Any] = {
    "problem": StrictStr,
    "backend": StrictStr,
    "solver": StrictStr,
    "gradient": StrictStr,
    "device": StrictStr,
    "dtype": StrictStr,
    "rtol": _NotNegative,
    "atol": _NotNegative,
    "dt": _Positive,
    "horizon": _Positive,
    "n_outputs": Annotated[StrictInt, Field(ge=2)],
    "batch_size": _Count,
    "threads": _Count,
    "seed": _Natural,
    "iterations": _Natural,
}
AXES: Mapping[str, TypeAdapter[Any]] = {axis: TypeAdapter(kind) for axis, kind in _KINDS.items()}

_FLOATS = ("rtol", "atol", "dt", "horizon")
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


def names(axis: str) -> Iterable[str]:
    """The known values of an axis of names; empty for an axis of numbers."""
    known: Mapping[str, Iterable[str]] = {
        "problem": PROBLEMS,
        "backend": BACKENDS,
        "solver": dict.fromkeys([*SOLVERS, *(s for backend in BACKENDS.values() for s in backend.solvers)]),
        "gradient": ["none", *ADJOINTS],
        "dtype": ["float32", "float64"],
    }
    return known.get(axis, [])


def checked(axis: str, value: Any) -> Any:
    """The axis's value as a cell holds it; a ValueError of one line if it cannot be one."""
    try:
        AXES[axis].validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{value!r} does not do: {error.errors()[0]['msg'].lower()}") from None
    known = list(names(axis))
    if known and value not in known:
        raise ValueError(unknown(axis, value, known))
    if axis == "device" and not _DEVICE.fullmatch(value):
        raise ValueError(unknown("device", value, ["cpu", "cuda", "cuda:0", "mps"]))
    return float(value) if axis in _FLOATS else value


def impossible(named: Mapping[str, Any]) -> str:
    """Why these values together make no cell; empty if they do."""
    solver, tolerances = named["solver"], [axis for axis in ("rtol", "atol") if axis in named]
    if "dt" in named and tolerances:
        return f"dt and {tolerances[0]} exclude each other: a step is fixed or controlled; put them in two grids"
    if "dt" not in named and len(tolerances) < 2:
        return f"{solver} has no step: give dt, or rtol and atol"
    if tolerances and solver in SOLVERS and not SOLVERS[solver].adaptive:
        return f"{solver} gives no error estimate: give dt instead of rtol and atol"
    if tolerances and named["rtol"] == named["atol"] == 0:
        return "rtol and atol are both 0: no error is within that"
    if named.get("iterations", 0) and named.get("gradient", "none") == "none":
        return "iterations without a gradient: training needs gradient = 'backprop' or another mode"
    if named.get("iterations", 0) and named["problem"] != "spiral_net":
        return f"{named['problem']} is not trained: iterations goes with problem = 'spiral_net'"
    return ""
