"""The axes of a grid: the values that each may have, and the combinations that make no cell."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, StrictFloat, StrictInt, StrictStr, TypeAdapter, ValidationError

from bench.backends import BACKENDS
from bench.extensions import installed, offered
from bench.failure import seen, shortened
from bench.solve_spec import impossible_step, known_solvers, number, solve_specs, unreasonable_dt
from bench.sweep.catalogue import catalogue
from node.registry import unknown

# `number` checks that a float is finite, and neither tiny nor huge.
_Positive = Annotated[StrictFloat | StrictInt, Field(gt=0)]
_NotNegative = Annotated[StrictFloat | StrictInt, Field(ge=0)]
_LARGEST = 2**31 - 1  # the largest integer that a column of every database can store
_MOST_THREADS = 1024  # above this, starting the threads fails
_Count = Annotated[StrictInt, Field(ge=1, le=_LARGEST)]
_Natural = Annotated[StrictInt, Field(ge=0, le=_LARGEST)]

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
    "n_outputs": Annotated[StrictInt, Field(ge=2, le=_LARGEST)],
    "batch_size": _Count,
    "threads": Annotated[StrictInt, Field(ge=1, le=_MOST_THREADS)],
    "seed": _Natural,
    "iterations": _Natural,
    "optimiser": StrictStr,
    "learning_rate": _Positive,
    "evaluate": StrictStr,
}
AXES: Mapping[str, TypeAdapter[Any]] = {axis: TypeAdapter(kind) for axis, kind in _KINDS.items()}

_FLOATS = ("rtol", "atol", "dt", "horizon", "learning_rate")
_OF_TRAINING = ("optimiser", "learning_rate", "evaluate")  # axes that have no meaning without iterations
_DEVICE = re.compile(r"cpu|mps|cuda(:(0|[1-9][0-9]?))?")  # "cuda:07" would be another cell on the same device
_TIMES_APART = {"float32": 2 * 2.0**-23, "float64": 2 * 2.0**-52}  # two roundings of the last time, the largest


def names(axis: str) -> Iterable[str]:
    """The known values of an axis of names; empty for an axis of numbers."""
    known: Mapping[str, Iterable[str]] = {
        "problem": catalogue().problems,
        "backend": BACKENDS,
        "solver": known_solvers(),
        "gradient": ["none", *catalogue().gradients],
        "dtype": ["float32", "float64"],
    }
    return known.get(axis, [])


def checked(axis: str, value: Any) -> Any:
    """The axis's value as a cell stores it; a ValueError of one line if the axis does not allow it."""
    try:
        AXES[axis].validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{seen(value)} does not do: {error.errors()[0]['msg'].lower()}") from None
    known = list(names(axis))
    if known and value not in known and not installed(axis, value):
        raise ValueError(unknown(axis, shortened(value), [*known, *offered(axis)]))
    if axis == "device" and not _DEVICE.fullmatch(value):
        raise ValueError(unknown("device", shortened(value), ["cpu", "cuda", "cuda:0", "mps"]))
    if axis == "optimiser" and (reason := _no_optimiser(value)):
        raise ValueError(reason)
    if axis == "evaluate":
        return "; ".join(map(str, solve_specs(value)))
    return _float(value) if axis in _FLOATS else value


def _no_optimiser(name: str) -> str:
    """The reason why an optimiser cannot be used, in one line; empty if it can, or is the problem's own ("")."""
    known = catalogue().optimisers
    if name and name not in known:
        return unknown("optimiser", shortened(name), [name for name, reason in known.items() if not reason])
    return known.get(name, "")


def _float(value: float) -> float:
    try:
        return number(value)
    except ValueError as error:
        raise ValueError(f"{seen(value)} does not do: {error}") from None


def impossible(named: Mapping[str, Any]) -> str:
    """The reason why these values, with the problem's defaults among them, make no cell; empty if they make one."""
    step = {axis: named[axis] for axis in ("dt", "rtol", "atol") if axis in named}
    problem = catalogue().problems[named["problem"]]
    reasons = (
        impossible_step(named["solver"], step),
        _impossible_times(named),
        _beyond_data(named, problem.most),
        _impossible_training(named, trained=problem.trained),
    )
    return next(filter(None, reasons), "")


def _impossible_times(named: Mapping[str, Any]) -> str:
    """The reason why the times are impossible: too many steps, or output times that round to the same number."""
    dtype = named.get("dtype", "float32")
    most = int(1 / _TIMES_APART[dtype]) + 1
    if named["n_outputs"] > most:
        return f"n_outputs = {named['n_outputs']}: {dtype} tells at most {most} times apart: take fewer, or float64"
    steps = [named["dt"]] if "dt" in named else []
    steps += [spec.dt for spec in solve_specs(named.get("evaluate", "")) if spec.dt is not None]
    return next(filter(None, (unreasonable_dt(dt, named["horizon"]) for dt in steps)), "")


def _beyond_data(named: Mapping[str, Any], most: Mapping[str, int]) -> str:
    """The reason why the problem's data are too few for these values; empty if they are enough."""
    beyond = ((axis, named[axis], has) for axis, has in most.items() if named.get(axis, 0) > has)
    return next((f"{axis} = {asked}: {named['problem']} has at most {has}" for axis, asked, has in beyond), "")


def _impossible_training(named: Mapping[str, Any], *, trained: bool) -> str:
    if not named.get("iterations", 0):
        given = next((axis for axis in _OF_TRAINING if named.get(axis)), "")
        return given and f"{given} without iterations: it is of training: give iterations, or leave {given} out"
    if named.get("gradient", "none") == "none":
        return "iterations without a gradient: training needs gradient = 'backprop' or another mode"
    if not trained:
        known = " or ".join(repr(name) for name, problem in catalogue().problems.items() if problem.trained)
        return f"{named['problem']} is not trained: iterations goes with problem = {known}"
    return ""
