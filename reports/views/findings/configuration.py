"""Configurations, which a user chooses, and settings, which must be equal for two of them to be compared."""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from reports.measured import MeasuredCell
from results import format as text
from results.records import Cell

Key = TypeVar("Key", bound=Hashable)

# How a title states each field of a block, where a study has more than one value of it.
SETTINGS: Mapping[str, Callable[[Any], str]] = {
    "problem": str,
    "solver": str,
    "horizon": lambda value: _equation("T", value),
    "n_outputs": lambda value: text.plural(value, "output"),
    "batch_size": lambda value: f"batch of {value}",
    "dtype": str,
    "device": str,
    "threads": lambda value: text.plural(value, "thread"),
    "seed": lambda value: f"seed {value}",
    "iterations": lambda value: text.plural(value, "iteration"),
    "problem_options": lambda value: _options(value),
}
PARTS = ("solver", "gradient", "backend", "options")  # of a configuration, in the order in which a name says them
BLOCK = tuple(name for name in SETTINGS if name != "solver")


@dataclass(frozen=True, order=True)
class Configuration:
    """A user's choice, without the step or tolerances."""

    solver: str
    backend: str
    gradient: str
    options: str = ""  # of the solver, the mode and the backend

    @classmethod
    def of(cls, measured: MeasuredCell) -> Self:
        """The configuration that a cell measures."""
        return cls.of_cell(measured.cell)

    @classmethod
    def of_cell(cls, cell: Cell) -> Self:
        """The configuration of a cell."""
        return cls(cell.solver, cell.backend, cell.gradient, cell.options_label)

    def __str__(self) -> str:
        mode = "" if self.gradient == "none" else f" with {self.gradient}"
        options = f" ({self.options})" if self.options else ""
        return f"{self.solver} on {self.backend}{mode}{options}"


def names(configurations: Iterable[Configuration]) -> dict[Configuration, str]:
    """A name for each configuration, without the parts that all of them share."""
    known = list(dict.fromkeys(configurations))
    differing = {part for part in PARTS if len({getattr(each, part) for each in known}) > 1}
    return {each: _name(each, differing) for each in known}


def _name(each: Configuration, differing: set[str]) -> str:
    """The name by the parts that differ; the solver alone if none does."""
    mode = "" if each.gradient == "none" else each.gradient
    said = {
        "solver": each.solver,
        "gradient": f"with {mode}" if mode and "solver" in differing else mode,
        "backend": f"on {each.backend}" if differing & {"solver", "gradient"} else each.backend,
        "options": f"({each.options})" if each.options else "",
    }
    return " ".join(said[part] for part in PARTS if part in differing and said[part]) or each.solver


def mode(cell: Cell) -> str:
    """The gradient mode with its options and those of the solver and the backend."""
    return f"{cell.gradient} ({cell.options_label})" if cell.options_label else cell.gradient


def _options(problem_options: str) -> str:
    named = json.loads(problem_options)
    said = (f"{name.partition('.')[2]}{text.TIGHT}={text.TIGHT}{value}" for name, value in named.items())
    return ", ".join(said) or "options at their defaults"


def step(cell: Cell) -> str:
    """The step or the tolerances, as a sweep writes them."""
    if cell.dt is not None:
        return _equation("dt", cell.dt)
    if cell.rtol is None or cell.atol is None:
        return text.MISSING
    return f"{_equation('rtol', cell.rtol)}, {_equation('atol', cell.atol)}"


def _equation(name: str, value: float) -> str:
    return f"{name}{text.TIGHT}={text.TIGHT}{text.tolerance(value)}"


def coarseness(measured: MeasuredCell) -> float:
    """The number that orders the cells of a configuration from fine to coarse: dt or rtol."""
    cell = measured.cell
    return cell.dt if cell.dt is not None else cell.rtol or 0.0


def grouped(cells: Iterable[MeasuredCell], by: Callable[[MeasuredCell], Key]) -> dict[Key, list[MeasuredCell]]:
    """The cells by key, in the order of their first appearance."""
    groups: dict[Key, list[MeasuredCell]] = {}
    for cell in cells:
        groups.setdefault(by(cell), []).append(cell)
    return groups


def settings(cells: Sequence[MeasuredCell], names: Sequence[str] = BLOCK) -> dict[str, list[MeasuredCell]]:
    """The cells by the fields that they must share; a title states the problem and what differs within it."""
    values: dict[tuple[str, str], set[Hashable]] = {}
    for each in cells:
        for name in names:
            values.setdefault((each.cell.problem, name), set()).add(getattr(each.cell, name))
    differing = {name for (_, name), seen in values.items() if len(seen) > 1}
    said = [name for name in names if name == "problem" or name in differing]
    return grouped(cells, lambda each: ", ".join(SETTINGS[name](getattr(each.cell, name)) for name in said))
