"""Users' extensions: files, modules and installed entry points that register problems, backends, solvers or modes.

Only what is named is imported: in a sweep's `use`, by `--use`, or as the name of an entry point in a sweep.
"""

import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module, util
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bench.code_files import digest, files_of, own_files, own_module_files
from bench.failure import UsageError, shortened
from bench.user_import import check_names, import_file, import_named, without_side_effects
from node.registry import Origin, Registry, registering_from
from results.records import Cell

PROBLEM, BACKEND, SOLVER, GRADIENT = "problem", "backend", "solver", "gradient"
_REGISTRIES = {
    PROBLEM: ("bench.problems", "PROBLEMS"),
    BACKEND: ("bench.backends", "BACKENDS"),
    SOLVER: ("node.solvers", "SOLVERS"),
    GRADIENT: ("node.adjoint", "ADJOINTS"),
}
KINDS = tuple(_REGISTRIES)
_AXES = {field.name for field in fields(Cell)}

_loaded: dict[str, str] = {}  # file or module -> hash of its files when it was loaded
_revision = [0]
_files: dict[tuple[str, str], list[Path]] = {}  # (kind, name) -> the files that define it; of users' extensions only


def resolved(use: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The absolute paths of the files and the names of the modules; a UsageError if a file does not exist."""
    return tuple(dict.fromkeys(_resolved(given, folder) for given in use))


def _resolved(given: str, folder: Path) -> str:
    if given.endswith(".py") or "/" in given:
        try:
            path = (folder / Path(given).expanduser()).resolve()
            if path.is_file():
                return str(path)
        except (OSError, RuntimeError, ValueError):  # a name too long, ~ of an unknown user, a null character
            pass
        raise UsageError(f"use: {shortened(given)}: there is no such file in {folder.resolve()}: give the path of one")
    if not all(part.isidentifier() for part in given.split(".")):
        raise UsageError(f"use: {shortened(given)!r} is neither a .py file nor the name of a module")
    return given


def use_files(use: Sequence[str] | None) -> None:
    """Load the files and modules that the command line names; paths are relative to the working folder."""
    load(resolved(use or (), Path()))


def load(use: Sequence[str]) -> None:
    """Import files and modules; a UsageError of one line if one raises, registers nothing, or takes another's name."""
    for where in use:
        with _one_line(where):
            files = own_files(Path(where)) if where.endswith(".py") else own_module_files(where)
            text = digest(files)
        if _loaded.get(where) == text:
            continue
        origin = _origin_of(where)
        _forget(origin)
        try:
            with _one_line(where), without_side_effects():
                if where.endswith(".py"):
                    check_names(Path(where), files)
                _import(origin)
            provided = _provided(origin)
        except UsageError:
            _forget(origin)  # what it has registered before it failed
            raise
        _loaded[where] = text
        _revision[0] += 1
        _files.update(dict.fromkeys(provided, files))


def load_in_worker(use: Sequence[str]) -> None:
    """Import files and modules that were loaded where the sweep was read, without reading them for their hashes."""
    for where in use:
        with _one_line(where):
            _import(_origin_of(where))


def loaded() -> tuple[str, ...]:
    """The files and modules that are loaded."""
    return tuple(_loaded)


def _origin_of(where: str) -> Origin:
    return Origin("file" if where.endswith(".py") else "module", where)


def _import(origin: Origin) -> None:
    _registries()  # so that what ships is registered before
    with registering_from(origin):
        if origin.kind == "file":
            import_file(Path(origin.place))
        else:
            import_named(origin.place)


def _provided(origin: Origin) -> list[tuple[str, str]]:
    """The (kind, name) pairs that a file or a module has registered; a UsageError if there are none."""
    provided = [(kind, name) for kind, of in _registries().items() for name in of if of.origin(name) == origin]
    if not provided:
        raise UsageError(f"use: {origin.place} registers nothing: {_REMEDY}")
    for kind, name in provided:
        if kind == BACKEND:
            with _one_line(origin.place):
                wrong = _wrong_with(_registries()[BACKEND][name])
            if wrong:
                raise UsageError(f"use: {origin.place}: the backend {name}: {wrong}")
    return provided


def _forget(origin: Origin) -> None:
    for registry in _registries().values():
        registry.forget(origin)


_REMEDY = "put @problem(horizon=...) over a function, or call BACKENDS.register, SOLVERS.register, ADJOINTS.register"


def installed(kind: str, name: str) -> bool:
    """Whether an installed entry point has this name; if so, it is imported. A ValueError if it cannot be imported."""
    if kind not in _REGISTRIES or (kind, name) in _files:
        return (kind, name) in _files
    found = next(iter(entry_points(group=f"nodebench.{kind}s", name=name)), None)
    if found is None:
        return False
    try:
        with without_side_effects():
            _registries()[kind][name]
    except RuntimeError as error:
        raise ValueError(f"the entry point {name}: {error}") from error
    _files[kind, name] = files_of(found.module.partition(".")[0])
    _revision[0] += 1
    return True


def offered(kind: str) -> Mapping[str, str]:
    """The names of installed entry points of a kind, each with the distribution that it is from."""
    found = entry_points(group=f"nodebench.{kind}s") if kind in _REGISTRIES else ()
    return {one.name: one.dist.name if one.dist else one.value for one in found}


def shadowed(named: Collection[tuple[str, str]]) -> Iterator[str]:
    """A line for each (kind, name) of an installed entry point that is not used, because its name is taken."""
    for kind in KINDS:
        clashing = {name: place for name, place in offered(kind).items() if (kind, name) in named}
        for name, place in clashing.items():
            origin = _registries()[kind].origin(name)
            if origin.kind != "entry point":
                yield f"the {kind} {name} of {place} is not used: its name is taken ({origin}): rename the entry point"


def known(kind: str, name: str) -> bool:
    """Whether something of this kind is registered or installed under this name."""
    return name in _registries()[kind]


def revision() -> int:
    """A number that changes whenever something is loaded, so that caches of what follows from the registries expire."""
    return _revision[0]


def provided_by(kind: str, name: str) -> Sequence[Path]:
    """The files that define a user's extension; none for what ships with nodebench."""
    return _files.get((kind, name), ())


def provided_from(where: str) -> list[tuple[str, str]]:
    """The (kind, name) pairs that a file or a module has registered."""
    registries = _registries()
    return [(kind, name) for kind, name in _files if registries[kind].origin(name).place == where]


def _wrong_with(backend: Any) -> str:
    """What is wrong with the declarations of a user's backend, in one line; empty if nothing is."""
    library: str = backend.library
    if library and not (library.isidentifier() and util.find_spec(library)):
        return f"library = {library!r}, and there is no such module here: give the name by which it is imported"
    for what in ("solvers", "gradients"):
        if isinstance(given := getattr(backend, what), str):
            return f"{what} = {given!r} is a text: give a tuple of names, ({given!r},)"
    bare = Cell(problem="", backend=backend.name, solver="", horizon=1.0, n_outputs=2, dt=1.0)
    taken = [option.name for option in backend.options(bare) if option.name in _AXES]
    return f"its option {taken[0]!r} has the name of an axis: give it another" if taken else ""


def library_of(backend: str) -> str:
    """The package that a user's backend measures; empty if it has the backend's own name."""
    return _library(backend) if (BACKEND, backend) in _files else ""


def _library(backend: str) -> str:
    library: str = _registries()[BACKEND][backend].library
    return library


def _registries() -> dict[str, Registry[Any]]:
    """All registries by kind, filled with what ships, so that anything registered later is a user's."""
    return {kind: getattr(import_module(module), name) for kind, (module, name) in _REGISTRIES.items()}


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """A body whose errors become a UsageError: one line with the place in the user's file."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or not f"{where}.".startswith(f"{error.name}."):
            raise _unusable(where, error) from error
        raise UsageError(f"use: no module is named {where!r}: for a file, write its path, {where}.py") from None
    except (Exception, SystemExit) as error:
        raise _unusable(where, error) from error


def _unusable(where: str, error: BaseException) -> UsageError:
    if isinstance(error, SyntaxError):
        return UsageError(f"use: {where}: line {error.lineno}: {error.msg}")
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    place = f", line {lines[-1]}" if lines else ""
    return UsageError(f"use: {where}{place}: {type(error).__name__}: {error}")
