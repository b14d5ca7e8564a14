"""The options in a grid: axes that a cell's problem, solver, gradient mode or backend declares."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from bench.backends import BACKENDS
from bench.extensions import revision
from bench.failure import shortened
from bench.options import Option, stored, unknown_option
from bench.sweep.axes import AXES
from bench.sweep.catalogue import catalogue
from node.registry import unknown
from results.records import Cell, OptionValue

OWNERS = ("problem", "solver", "gradient")  # namespaces; an option of a backend has none


def is_option(axis: str) -> bool:
    """Whether a grid's key can be an option: it is in a namespace, or a backend declares it."""
    return (axis.partition(".")[0] in OWNERS and "." in axis) or axis in {option.name for option in _of_backends()}


def unknown_axis(axis: str) -> str:
    """The message about a grid's key that is neither an axis nor an option."""
    options = {option.name for option in (*_of_problems(), *_of_modes(), *_of_solvers(), *_of_backends())}
    return unknown("axis", shortened(axis), [*AXES, *sorted(options)])


def with_options(cell: Cell, given: Mapping[str, Any]) -> Cell:
    """The cell with these options; a ValueError of one line for an option that no part of the cell declares.

    An option that another backend declares for such a cell is accepted too: that the cell's own backend lacks it is the
    cell's outcome.
    """
    if not given:
        return cell
    declared = declared_by(cell)
    chosen: dict[str, OptionValue] = {}
    for name, value in given.items():
        if name not in declared:
            owner, of_owner = _owner(cell, name, declared)
            raise ValueError(unknown_option(name, owner, of_owner))
        try:
            chosen[name] = declared[name].checked(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    with_them = replace(cell, options=stored(chosen, declared))
    of_library = any(not name.startswith("problem.") for name in chosen)
    if reason := of_library and BACKENDS[cell.backend].refuses_options(with_them):
        named = ", ".join(f"{name} = {json.dumps(value)}" for name, value in with_them.option_values.items())
        raise ValueError(f"{named}: {reason}")
    return with_them


def declared_by(cell: Cell) -> Mapping[str, Option]:
    """All options that a cell of this problem, solver and mode may have, by name; its own backend's take precedence."""
    named = {name: getattr(cell, name) for name in ("problem", "backend", "solver", "gradient")}
    bare = Cell(**named, horizon=1.0, n_outputs=2, dt=None if cell.dt is None else 1.0)
    return _declared(bare, revision())


@cache
def _declared(cell: Cell, _revision: int) -> Mapping[str, Option]:
    others = [BACKENDS[name] for name in BACKENDS if name != cell.backend]
    of_backends = (option for backend in (*others, BACKENDS[cell.backend]) for option in backend.options(cell))
    return {option.name: option for option in (*of_backends, *catalogue().problems[cell.problem].options)}


def _owner(cell: Cell, name: str, declared: Iterable[str]) -> tuple[str, list[str]]:
    """The owner that should have declared the option, and the names of the options that it declares."""
    namespace = name.partition(".")[0] if "." in name else ""
    owners = {"problem": cell.problem, "solver": cell.solver, "gradient": f"gradient = {cell.gradient!r}"}
    of_owner = [option for option in declared if option.startswith(f"{namespace}.")] if namespace else list(declared)
    return owners.get(namespace, cell.backend), of_owner


def options_of(name: str) -> Sequence[Option]:
    """The options of a problem, a solver, a gradient mode or a backend; a ValueError with the nearest name."""
    owners: dict[str, Iterable[Option]] = {
        **{backend: _declared_by_backend(backend) for backend in BACKENDS},
        **{mode: listed.options for mode, listed in catalogue().gradients.items()},
        **{
            solver: (*listed.options, *(catalogue().controller if listed.adaptive else ()))
            for solver, listed in catalogue().solvers.items()
        },
        **{problem: listed.options for problem, listed in catalogue().problems.items()},
    }
    if name not in owners:
        raise ValueError(unknown("owner of options", shortened(name), owners))
    return tuple(owners[name])


def _declared_by_backend(backend: str) -> list[Option]:
    """The options that a backend declares for every solver and gradient mode."""
    bare = Cell(problem="", backend=backend, solver="", horizon=1.0, n_outputs=2, dt=1.0)
    return list(BACKENDS[backend].options(bare))


def _of_backends() -> Iterator[Option]:
    for name in BACKENDS:
        yield from _declared_by_backend(name)


def _of_problems() -> Iterator[Option]:
    for listed in catalogue().problems.values():
        yield from listed.options


def _of_solvers() -> Iterator[Option]:
    yield from catalogue().controller
    for listed in catalogue().solvers.values():
        yield from listed.options


def _of_modes() -> Iterator[Option]:
    for listed in catalogue().gradients.values():
        yield from listed.options
