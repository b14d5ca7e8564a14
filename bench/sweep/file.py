"""A sweep: a TOML file of grids that is read, checked and expanded into cells."""

import itertools
import math
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from bench.extensions import load, resolved
from bench.failure import UsageError, seen, shortened
from bench.sweep.axes import AXES, checked, impossible
from bench.sweep.catalogue import catalogue
from bench.sweep.goals import Goals
from bench.sweep.measure import Measure
from bench.sweep.options import is_option, unknown_axis, with_options
from bench.sweep.shipped import shipped
from node.registry import unknown
from results.records import NO_GOAL, Cell, Goal, Planned

_REQUIRED = ("problem", "backend", "solver")
_MOST_CELLS = 1_000_000  # of a file: a year of measuring at half a minute each
_MOST_BYTES = 2**20  # of a file: the largest that ships has four thousand
_DEEP = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){50}""")  # a key that tomllib takes minutes to read
_LONGEST = 200  # characters of a title


def _line(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST:
        raise ValueError(f"it should be one line of at most {_LONGEST} characters")
    return text


_Line = Annotated[str, AfterValidator(_line)]


_Choices = list[tuple[tuple[str, Any], ...]]  # each choice of a key: (axis, value) pairs, several for a joint axis


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: _Line = ""
    study: _Line = ""  # the report's section; the file's name if empty
    include: list[str] = []
    use: list[str] = []  # files (relative to the sweep's) or modules that register what the sweep names
    measure: Measure = Measure()
    goal: Goals = Goals()
    grid: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Sweep:
    """The cells to be measured, how much is measured of each, and the text of the sweep's file."""

    name: str
    title: str
    text: str
    measure: Measure
    planned: tuple[Planned, ...]
    goals: Mapping[str, Goal] = field(default_factory=dict)  # by study, of those that state one
    chosen: Collection[Cell] | None = None  # the cells that a filter leaves; None: all
    use: tuple[str, ...] = ()  # files and modules of the user's that workers load

    @cached_property
    def cells(self) -> list[Cell]:
        """The distinct cells: two studies may share a cell."""
        return list(dict.fromkeys(planned.cell for planned in self.planned))

    @property
    def wanted(self) -> list[Cell]:
        """The cells to be measured now; the others stay planned."""
        return self.cells if self.chosen is None else [cell for cell in self.cells if cell in self.chosen]

    def exact_enough(self) -> dict[Cell, float]:
        """The error (with a gradient mode, the gradient error) that is small enough for all studies of a cell.

        Cells of a study that states no such goal are left out.
        """
        wanted: dict[Cell, list[float]] = {}
        for planned in self.planned:
            goal = self.goals.get(planned.study, NO_GOAL)
            stated = goal.error if planned.cell.gradient == "none" else goal.gradient_error
            wanted.setdefault(planned.cell, []).append(stated or 0.0)
        return {cell: min(errors) for cell, errors in wanted.items() if min(errors) > 0}


def load_sweep(name: str, use: Sequence[str] = ()) -> Sweep:
    """The shipped sweep with this name, or else the sweep of this file; a UsageError names file, key and remedy.

    use: files and modules to load beside those that the sweep itself names.
    """
    path = shipped().get(name) or _file(name)
    text = _read(path)
    content = _parse(path, text)
    used = resolved(use, Path()) + resolved(content.use, path.parent)
    load(used)
    planned = list(_planned(path, content))
    goals: dict[str, Goal] = {}
    for included in dict.fromkeys(content.include):
        part = _load_included(path, included)
        planned += part.planned
        goals |= part.goals
        text += f"\n# --- included: {included}\n\n{part.text}"
    stated = content.goal.model_dump(exclude_none=True)
    if stated:  # for all its studies, the included ones too
        goals = {plan.study: replace(goals.get(plan.study, Goal()), **stated) for plan in planned}
    if not planned:
        raise UsageError(f"{path.name}: no cell: give it a [[grid]] or an include")
    if reason := content.goal.pointless(plan.cell for plan in planned):
        raise UsageError(f"{path.name}: goal: {reason}")
    return Sweep(
        path.stem, content.title or path.stem, text, content.measure, tuple(dict.fromkeys(planned)), goals, use=used
    )


def _file(name: str) -> Path:
    """The file of a user's own sweep, by its path."""
    path = Path(name)
    try:
        path = path.expanduser()
        if path.suffix.lower() == ".toml" and path.is_dir():
            raise UsageError(f"{path} is a folder: give the path of a .toml file")
        if path.suffix.lower() == ".toml" and path.is_file():
            path.name.encode()
            return path
    except UnicodeEncodeError:
        raise UsageError(f"{path.name}: a sweep is named by its file, and this name is no text: rename it") from None
    except (OSError, RuntimeError) as error:  # a folder that cannot be read, a name too long; ~ of an unknown user
        reason = getattr(error, "strerror", "") or error
        raise UsageError(f"{shortened(name)}: cannot be read: {reason}: pass the path of a .toml file") from None
    raise UsageError(f"{unknown('sweep', shortened(name), shipped())}; or the path of a .toml file that exists")


def _load_included(path: Path, included: str) -> Sweep:
    if included not in shipped():
        raise UsageError(f"{path.name}: include: {unknown('sweep', shortened(included), shipped())}")
    if shipped()[included] == path or _parse(shipped()[included], _read(shipped()[included])).include:
        raise UsageError(f"{path.name}: include: {included!r} includes others: name those instead")
    return load_sweep(included)


def _read(path: Path) -> str:
    """The file's text, without a byte order mark, its lines ended as on Unix."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UsageError(f"{path.name}: more than {_MOST_BYTES // 2**20} MiB: a sweep is a small file of grids")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name}: cannot be read: no UTF-8 text ({error.reason}): save it as UTF-8") from None
    except OSError as error:
        raise UsageError(
            f"{path.name}: cannot be read: {error.strerror or error}: check its rights and its disk"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse(path: Path, text: str) -> _File:
    if _DEEP.search(text):
        raise UsageError(f"{path.name}: a key of more than 50 names set apart by dots: a sweep's keys have two")
    try:
        return _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        raise UsageError(f"{path.name}: {_first_mistake(error)}") from None
    except (ValueError, RecursionError) as error:  # a number of more digits than Python reads, lists in lists
        raise UsageError(f"{path.name}: not TOML that can be read: {error}: simplify it") from None


def _first_mistake(error: ValidationError) -> str:
    """The message about the first key that is wrong."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {"measure": Measure, "goal": Goals}
        table = tables.get(str(first["loc"][0]), _File)
        return unknown("key", shortened(str(first["loc"][-1])), table.model_fields)
    return f"{key}: {seen(first['input'])} does not do: {first['msg'].removeprefix('Value error, ').lower()}"


def _planned(path: Path, content: _File) -> Iterator[Planned]:
    left = _MOST_CELLS
    for number, grid in enumerate(content.grid, start=1):
        try:
            choices = _of_grid(grid)
            count = math.prod(map(len, choices))
            if count > left:
                raise ValueError(f"{count:.3g} cells: a sweep has at most {_MOST_CELLS:,}: leave out some values")
            left -= count
            for cell in _cells(choices):
                yield Planned(content.study or path.stem, cell)
        except ValueError as error:
            raise UsageError(f"{path.name}: grid {number}, {error}") from None


def _of_grid(grid: dict[str, Any]) -> list[_Choices]:
    """The choices of each of the grid's keys. Its ValueErrors begin with the axis."""
    choices = [_choices(key, value) for key, value in grid.items()]
    given = Counter(axis for choice in choices for axis, _ in choice[0])
    for axis in _REQUIRED:
        if axis not in given:
            raise ValueError(f"{axis}: missing: every grid names problem, backend and solver")
    for axis, times in given.items():
        if times > 1:
            raise ValueError(f"{axis}: given twice: an axis stands alone or in one joint axis")
    return choices


def _cells(choices: Sequence[_Choices]) -> Iterator[Cell]:
    """The cells of the full product of the choices."""
    for combination in itertools.product(*choices):
        given_here = dict(itertools.chain.from_iterable(combination))
        problem = catalogue().problems[given_here["problem"]]
        options = {axis: value for axis, value in given_here.items() if axis not in AXES}
        named = {"horizon": problem.horizon, "n_outputs": problem.n_outputs} | {
            axis: value for axis, value in given_here.items() if axis in AXES
        }
        if reason := impossible(named):
            raise ValueError(f"solver: {reason}")
        yield with_options(Cell(**named), options)


def _choices(key: str, value: Any) -> _Choices:
    """The choices of a grid's key, each as (axis, value) pairs: several pairs for a joint axis "a,b"."""
    axes = [axis.strip() for axis in key.split(",")]
    for axis in axes:
        if axis not in AXES and not is_option(axis):
            raise ValueError(unknown_axis(axis))
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{shortened(key)}: an empty list makes no cell: give a value or leave the axis out")
    return [tuple(_pairs(key, axes, choice)) for choice in values]


def _pairs(key: str, axes: Sequence[str], value: Any) -> Iterator[tuple[str, Any]]:
    joint = value if len(axes) > 1 else [value]
    if not isinstance(joint, list) or len(joint) != len(axes):
        raise ValueError(f"{shortened(key)}: {seen(value)} does not do: each choice is a list of {len(axes)} values")
    for axis, part in zip(axes, joint, strict=True):
        try:
            yield axis, checked(axis, part) if axis in AXES else part
        except ValueError as error:
            raise ValueError(f"{axis}: {error}") from None
