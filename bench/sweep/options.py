"""The options in a grid: which of a cell's axes its problem, its solver, its gradient mode or its backend declares."""

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
    """Whether the key of a grid can be an option: in a namespace, or one that a backend declares."""
    return (axis.partition(".")[0] in OWNERS and "." in axis) or axis in {one.name for one in _of_backends()}


def unknown_axis(axis: str) -> str:
    """The line that answers a key of a grid that is neither an axis nor an option."""
    options = {option.name for option in (*_of_problems(), *_of_modes(), *_of_solvers(), *_of_backends())}
    return unknown("axis", shortened(axis), [*AXES, *sorted(options)])


def with_options(cell: Cell, given: Mapping[str, Any]) -> Cell:
    """The cell with these options; a ValueError of one line for one that nothing of the cell declares.

    What another backend declares for such a cell is taken too: that the cell's own has no such option is its outcome.
    """
    if not given:
        return cell
    declared = declared_by(cell)
    chosen: dict[str, OptionValue] = {}
    for name, value in given.items():
        if name not in declared:
            owner, alike = _owner(cell, name, declared)
            raise ValueError(unknown_option(name, owner, alike))
        try:
            chosen[name] = declared[name].checked(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return replace(cell, options=stored(chosen, declared))


def declared_by(cell: Cell) -> Mapping[str, Option]:
    """All options that a cell of this problem, solver and mode may have, by name; its own backend's first."""
    named = {name: getattr(cell, name) for name in ("problem", "backend", "solver", "gradient")}
    bare = Cell(**named, horizon=1.0, n_outputs=2, dt=None if cell.dt is None else 1.0)
    return _declared(bare, revision())


@cache
def _declared(cell: Cell, _revision: int) -> Mapping[str, Option]:
    others = [BACKENDS[name] for name in BACKENDS if name != cell.backend]
    of_backends = (option for backend in (*others, BACKENDS[cell.backend]) for option in backend.options(cell))
    return {option.name: option for option in (*of_backends, *catalogue().problems[cell.problem].options)}


def _owner(cell: Cell, name: str, declared: Iterable[str]) -> tuple[str, list[str]]:
    """Who should have declared the option, and what it declares."""
    namespace = name.partition(".")[0] if "." in name else ""
    owners = {"problem": cell.problem, "solver": cell.solver, "gradient": f"gradient = {cell.gradient!r}"}
    alike = [one for one in declared if one.startswith(f"{namespace}.")] if namespace else list(declared)
    return owners.get(namespace, cell.backend), alike


def options_of(name: str) -> Sequence[Option]:
    """The options of a problem, a solver, a gradient mode or a backend; a ValueError with the nearest name."""
    owners: dict[str, Iterable[Option]] = {
        **{one: _declared_without_owner(one) for one in BACKENDS},
        **{one: listed.options for one, listed in catalogue().gradients.items()},
        **{
            one: (*listed.options, *(catalogue().controller if listed.adaptive else ()))
            for one, listed in catalogue().solvers.items()
        },
        **{one: listed.options for one, listed in catalogue().problems.items()},
    }
    if name not in owners:
        raise ValueError(unknown("owner of options", shortened(name), owners))
    return tuple(owners[name])


def _declared_without_owner(backend: str) -> list[Option]:
    """What the backend declares whatever a cell's solver and gradient mode."""
    bare = Cell(problem="", backend=backend, solver="", horizon=1.0, n_outputs=2, dt=1.0)
    return list(BACKENDS[backend].options(bare))


def _of_backends() -> Iterator[Option]:
    for name in BACKENDS:
        yield from _declared_without_owner(name)


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
