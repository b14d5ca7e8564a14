"""The code that is measured, as facts that stay equal as long as it does: what is due again follows from them.

Files are read and none is imported: the report, which is written without torch, asks too.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata, util
from pathlib import Path

from bench.measures.kinds import kinds
from results.records import Cell, Source, TrialKind

# The module of bench.measures that measures each kind.
_MEASURES: dict[TrialKind, str] = {
    "counts": "counts",
    "accuracy": "accuracy",
    "timing": "clock",
    "twin": "clock",
    "memory": "memory",
    "training": "training",
}
_MEASURING = (
    "bench.measures",
    "bench.backends.workload",
    "node",
)  # it computes true values and counts calls of every library
_BINDING = ("bench.backends", "bench.backends.workload", "node.controller")
_OURS = "node"  # comes with us: its files tell all of it, and another distribution's name may be the same
_DIGITS = 12  # hexadecimal, of a hash


_read: dict[Path, tuple[int, int]] = {}  # files that a source was made of, as they were then


def source_of(cell: Cell, kind: TrialKind) -> Source:
    """The source that a trial of this kind of the cell measures."""
    return _source(cell.backend, cell.problem, kind, bool(cell.evaluate))


def sources_of(cells: Iterable[Cell]) -> list[Source]:
    """The sources of all that is measured of the cells, each once."""
    alike = {(cell.backend, cell.problem, bool(cell.iterations), bool(cell.evaluate)): cell for cell in cells}
    measured = {(*by[:2], kind, by[3]) for by, cell in alike.items() for kind in (*kinds(cell), "twin")}
    return list({(found := _source(*each)).key: found for each in sorted(measured)}.values())


@cache
def _source(backend: str, problem: str, kind: TrialKind, evaluated: bool) -> Source:
    """The same, by what decides it. An unknown name's fact says that there is none."""
    return Source(
        {
            "library": library(backend),
            "adapter": f"{backend} {_hash(_reached(_module_of(backend), *_BINDING))}",
            "problem": f"{problem} {_hash(_reached(_defining(problem), 'bench.problems', 'node.models'))}",
            "measure": _evaluating() if kind == "training" and evaluated else _measuring(kind),
        }
    )


def _module_of(backend: str) -> str:
    return f"bench.backends.{backend}" if backend.isidentifier() else ""


@cache
def _measuring(kind: TrialKind) -> str:
    return f"{kind} {_hash(_reached(f'bench.measures.{_MEASURES[kind]}', *_MEASURING))}"


@cache
def _evaluating() -> str:
    """Training after which the model is solved in other ways: by node, where its own library has no such solver."""
    adapter = _reached(f"bench.backends.{_OURS}", *_BINDING)
    training = _reached("bench.measures.training", *_MEASURING, "bench.solve_spec")
    return f"evaluation {_hash({*training, *adapter, *files_of(_OURS), *files_of('bench.solve_spec')})}"


@cache
def library(backend: str) -> str:
    """The backend's library: name, version where it has one of its own, hash of its files."""
    if not backend.isidentifier():  # of another harness, whose numbers were imported
        return f"{backend} none"
    if backend == _OURS:
        return f"{backend} {_hash(files_of(backend))}"
    try:
        version = metadata.version(backend)
    except metadata.PackageNotFoundError:  # a folder of the user's own
        version = "without a version"
    return f"{backend} {version} {_hash(files_of(backend))}"


def changed_since_read() -> str:
    """A file that was read for a source and is another one now; empty if there is none."""
    return next((str(path) for path, seen in _read.items() if _stamp(path) != seen), "")


@cache
def _defining(problem: str) -> str:
    """The module that has `Problem(name=problem, ...)`; empty if there is none."""
    return next((module for module, names in _named().items() if problem in names), "")


@cache
def _named() -> dict[str, set[str]]:
    """The values of all arguments that are called `name`, by the module of bench.problems."""
    found = {}
    for path in files_of("bench.problems"):
        keywords = (part for part in ast.walk(ast.parse(path.read_bytes())) if isinstance(part, ast.keyword))
        values = (getattr(one.value, "value", None) for one in keywords if one.arg == "name")
        found[f"bench.problems.{path.stem}"] = {value for value in values if isinstance(value, str)}
    return found


def _reached(module: str, *packages: str) -> Iterator[Path]:
    """The files of a module and of what it imports, directly or not, from these packages."""
    waiting, seen = [module] if module else [], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name == packages[0]:  # the registry imports all of its kind
            continue
        seen.add(name)
        yield from files_of(name)
        if name == _OURS:  # all of it: it imports nothing else of ours
            continue
        waiting += [one for one in _imports(name) if any(f"{one}.".startswith(f"{each}.") for each in packages)]


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules that a module's text imports."""
    found: list[str] = []
    for path in files_of(module):
        for part in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(part, ast.Import):
                found += [alias.name for alias in part.names]
            elif isinstance(part, ast.ImportFrom) and part.module and not part.level:
                found.append(part.module)
    return tuple(dict.fromkeys(found))


def files_of(module: str) -> list[Path]:
    """The Python files of a module, or of a package with all that is below it; none if there is no such module."""
    package, _, inner = module.partition(".")
    spec = util.find_spec(package)
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return [Path(spec.origin)] if spec.origin else []
    folder = Path(next(iter(spec.submodule_search_locations)), *inner.split("."))
    if folder.is_dir():
        return sorted(folder.rglob("*.py"))
    file = folder.with_suffix(".py")
    return [file] if file.is_file() else []


def _hash(paths: Iterable[Path]) -> str:
    """The digest of files that are to stay as they are while a run measures."""
    files = list(paths)
    _read.update({path: _stamp(path) for path in files})
    return digest(files)


def digest(paths: Iterable[Path]) -> str:
    """A hash of the files' names and contents; "none" without any."""
    files = sorted(paths)
    if not files:
        return "none"
    found = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        found.update(f"{path.parent.name}/{path.name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:_DIGITS]


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is edited."""
    try:
        found = path.stat()
    except OSError:  # it has been removed
        return 0, 0
    return found.st_mtime_ns, found.st_size
