"""A sweep: a TOML file of grids, read, checked at once, and unfolded into cells."""

import itertools
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.axes import AXES, checked, impossible
from bench.failure import UsageError
from bench.problems import PROBLEMS
from bench.shipped import shipped
from node.solve import unknown
from results.records import NO_GOAL, Cell, Goal, Planned

_REQUIRED = ("problem", "backend", "solver")


class Measure(BaseModel):
    """How much is measured of each cell: no part of what is measured, so no part of its key."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    processes: int = Field(default=3, ge=1, le=100)  # timing processes a cell, at least
    max_processes: int = Field(default=12, ge=1, le=100)  # at most
    rounds: int = Field(default=16, ge=1, le=10_000)  # rounds a process: one sample of each cell in each
    sampling_s: float = Field(default=1.0, gt=0)  # of a process, after which a slow cell has three rounds and no more
    precision: float = Field(default=0.03, gt=0, lt=1)  # half-width of the ratio's interval at which a cell is done
    max_s: float = Field(default=300.0, gt=0)  # of timing a group of cells; no round begins after it
    cut_ratio: float = Field(default=30.0, gt=1)  # so many times slower than a cell no less exact: timed no further
    timeout_s: float = Field(default=60.0, gt=0)  # of one trial, and of one sample
    memory_gib: float | None = Field(default=None, gt=0)  # that a worker may take; None: half of what there is

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.processes > self.max_processes:
            raise ValueError(f"processes = {self.processes} is above max_processes = {self.max_processes}")
        return self


_Stated = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Goals(BaseModel):
    """What is to be reached, by metric: races are run to it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    error: _Stated | None = None
    gradient_error: _Stated | None = None
    loss: _Stated | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = ""
    study: str = ""  # the report's section; the file's name if empty
    include: list[str] = []
    measure: Measure = Measure()
    goal: Goals = Goals()
    grid: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Sweep:
    """What is to be measured, and the text that says so."""

    name: str
    title: str
    text: str
    measure: Measure
    planned: tuple[Planned, ...]
    goals: Mapping[str, Goal] = field(default_factory=dict)  # by study, of those that state one
    chosen: Collection[Cell] | None = None  # that a filter leaves; None: all

    @cached_property
    def cells(self) -> list[Cell]:
        """Each cell once: two studies may share one."""
        return list(dict.fromkeys(planned.cell for planned in self.planned))

    @property
    def wanted(self) -> list[Cell]:
        """The cells that are to be measured now: the others stay planned."""
        return self.cells if self.chosen is None else [cell for cell in self.cells if cell in self.chosen]

    def exact_enough(self) -> dict[Cell, float]:
        """The error, or of a cell with a gradient the gradient error, that each study of a cell is content with.

        Cells of a study that states no such goal are left out.
        """
        wanted: dict[Cell, list[float]] = {}
        for one in self.planned:
            goal = self.goals.get(one.study, NO_GOAL)
            stated = goal.error if one.cell.gradient == "none" else goal.gradient_error
            wanted.setdefault(one.cell, []).append(stated or 0.0)
        return {cell: min(errors) for cell, errors in wanted.items() if min(errors) > 0}


def load_sweep(name: str) -> Sweep:
    """The sweep of that name if one ships, else of that file; a UsageError names file, key and remedy."""
    path = shipped().get(name, Path(name))
    if path.suffix != ".toml" or not path.is_file():
        raise UsageError(f"{unknown('sweep', name, shipped())}; or the path of a .toml file that exists")
    text = _read(path)
    content = _parse(path, text)
    planned = list(_planned(path, content))
    goals: dict[str, Goal] = {}
    for included in content.include:
        part = _load_included(path, included)
        planned += part.planned
        goals |= part.goals
        text += f"\n# --- included: {included}\n\n{part.text}"
    stated = content.goal.model_dump(exclude_none=True)
    if stated:  # of all its studies, also those that are included
        goals = {one.study: replace(goals.get(one.study, Goal()), **stated) for one in planned}
    if not planned:
        raise UsageError(f"{path.name}: no cell: give it a [[grid]] or an include")
    return Sweep(path.stem, content.title or path.stem, text, content.measure, tuple(dict.fromkeys(planned)), goals)


def _load_included(path: Path, included: str) -> Sweep:
    if included not in shipped():
        raise UsageError(f"{path.name}: include: {unknown('sweep', included, shipped())}")
    if shipped()[included] == path or _parse(shipped()[included], _read(shipped()[included])).include:
        raise UsageError(f"{path.name}: include: {included!r} includes others: name those instead")
    return load_sweep(included)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: cannot be read: {error}") from None


def _parse(path: Path, text: str) -> _File:
    try:
        return _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            tables: dict[str, type[BaseModel]] = {"measure": Measure, "goal": Goals}
            table = tables.get(str(first["loc"][0]), _File)
            raise UsageError(f"{path.name}: {unknown('key', str(first['loc'][-1]), table.model_fields)}") from None
        raise UsageError(f"{path.name}: {key}: {first['input']!r} does not do: {first['msg'].lower()}") from None


def _planned(path: Path, content: _File) -> Iterator[Planned]:
    for number, grid in enumerate(content.grid, start=1):
        try:
            for cell in _cells(grid):
                yield Planned(content.study or path.stem, cell)
        except ValueError as error:
            raise UsageError(f"{path.name}: grid {number}, {error}") from None


def _cells(grid: dict[str, Any]) -> Iterator[Cell]:
    """The grid's full product. Its ValueErrors begin with the axis."""
    choices = [_choices(key, value) for key, value in grid.items()]
    given = [axis for choice in choices for axis, _ in choice[0]]
    for axis in _REQUIRED:
        if axis not in given:
            raise ValueError(f"{axis}: missing: every grid names problem, backend and solver")
    for axis in given:
        if given.count(axis) > 1:
            raise ValueError(f"{axis}: given twice: an axis stands alone or in one joint axis")
    for combination in itertools.product(*choices):
        named = dict(itertools.chain.from_iterable(combination))
        if reason := impossible(named):
            raise ValueError(f"solver: {reason}")
        problem = PROBLEMS[named["problem"]]
        yield Cell(**{"horizon": problem.horizon, "n_outputs": problem.n_outputs} | named)


def _choices(key: str, value: Any) -> list[tuple[tuple[str, Any], ...]]:
    """What a key of the grid may be, as (axis, value) pairs: several pairs a choice for a joint axis "a,b"."""
    axes = [axis.strip() for axis in key.split(",")]
    for axis in axes:
        if axis not in AXES:
            raise ValueError(f"{unknown('axis', axis, AXES)}")
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{key}: an empty list makes no cell: give a value or leave the axis out")
    return [tuple(_pairs(key, axes, one)) for one in values]


def _pairs(key: str, axes: Sequence[str], value: Any) -> Iterator[tuple[str, Any]]:
    joint = value if len(axes) > 1 else [value]
    if not isinstance(joint, list) or len(joint) != len(axes):
        raise ValueError(f"{key}: {value!r} does not do: each choice is a list of {len(axes)} values")
    for axis, one in zip(axes, joint, strict=True):
        try:
            yield axis, checked(axis, one)
        except ValueError as error:
            raise ValueError(f"{axis}: {error}") from None
