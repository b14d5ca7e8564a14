"""The Python files of modules and of their imports, and hashes of them. Files are read, never imported."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

OURS = "node"  # our own package: its files identify it, and an unrelated distribution may have the same name
_INSTALLED = {"site-packages", "dist-packages"}  # folders of this name hold installed packages
_OURS = (OURS, "bench", "results", "reports")
_DIGITS = 12  # hexadecimal digits of a hash

_stamps: dict[Path, tuple[int, int]] = {}  # of the files that have been hashed, as they were then


@cache
def library(backend: str) -> str:
    """A text that identifies a backend's library: its name, its version if it has one, and a hash of its files."""
    if not backend.isidentifier():  # of another harness, whose numbers were imported
        return f"{backend} none"
    if backend == OURS:
        return f"{backend} {hash_of(files_of(backend))}"
    try:
        version = metadata.version(backend)
    except metadata.PackageNotFoundError:  # a user's own folder
        version = "without a version"
    return f"{backend} {version} {hash_of(files_of(backend))}"


def changed_since_read() -> str:
    """The path of a file that has changed since it was hashed; empty if there is none."""
    return next((str(path) for path, seen in _stamps.items() if _stamp(path) != seen), "")


def reached(module: str, *packages: str) -> Iterator[Path]:
    """The files of a module and of the modules that it imports, directly or not, from these packages."""
    waiting, seen = [module] if module else [], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name == packages[0]:  # a package with a registry imports all modules of the kind
            continue
        seen.add(name)
        yield from files_of(name)
        if name == OURS:  # the whole package was yielded, and it imports nothing else of ours
            continue
        waiting += [other for other in _imports(name) if any(f"{other}.".startswith(f"{top}.") for top in packages)]


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules that a module's text imports."""
    return tuple(dict.fromkeys(name for path in files_of(module) for name in _imports_of(path)))


def _imports_of(path: Path) -> tuple[str, ...]:
    return _imports_in(path.read_bytes())


@lru_cache(maxsize=4096)
def _imports_in(text: bytes) -> tuple[str, ...]:
    """The modules that a text imports."""
    found = dict[str, None]()
    for part in ast.walk(ast.parse(text)):
        if isinstance(part, ast.Import):
            found.update((alias.name, None) for alias in part.names)
        elif isinstance(part, ast.ImportFrom) and part.module and not part.level:
            found[part.module] = None
    return tuple(found)


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


def hash_of(paths: Iterable[Path]) -> str:
    """The digest of files that must not change while a run measures (`changed_since_read`)."""
    files = list(paths)
    _stamps.update({path: _stamp(path) for path in files})
    return digest(files)


def digest(paths: Iterable[Path]) -> str:
    """A hash of the files' names and contents; "none" if there are no files."""
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
    """The modification time (ns) and the size (bytes) of a file, which change when it is edited."""
    try:
        found = path.stat()
    except OSError:  # it has been removed
        return 0, 0
    return found.st_mtime_ns, found.st_size


class Beside(NamedTuple):
    """A module that a user's file imports from its own folder."""

    name: str
    root: Path  # its file, or the folder of the package
    files: list[Path]


def own_files(*paths: Path) -> list[Path]:
    """Files of the user's, and the files of the user's that they import, directly or not.

    These lie in the folder of the first one, or are found by their names anywhere outside of Python's and of installed
    packages' folders.
    """
    waiting, seen = list(paths), dict[Path, None]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen[file] = None
        for name in _imports_of(file):
            waiting += _beside(paths[0].parent, name) or users_files(name.partition(".")[0])
    return sorted(seen)


def own_module_files(module: str) -> list[Path]:
    """The files of a module that a user names: of its whole package, and of the user's that these import."""
    files = files_of(module.partition(".")[0])
    return own_files(*files) if files else []


def imports_beside(path: Path, files: Iterable[Path]) -> list[Beside]:
    """The modules that a user's file and its other files import, and for which its folder has another file."""
    tops = {name.partition(".")[0] for file in files for name in _imports_of(file)} - {*_OURS}
    found = (Beside(top, _root(path.parent, top), _files_in(path.parent, top)) for top in sorted(tops))
    return [beside for beside in found if beside.files not in ([], [path])]


def in_standard_library(module: str) -> bool:
    """Whether Python itself has a module of this name."""
    return module in sys.stdlib_module_names


def _beside(folder: Path, module: str) -> list[Path]:
    """The files of a module in this folder; none if the module is somewhere else."""
    top = module.partition(".")[0]
    return [] if in_standard_library(top) or top in _OURS else _files_in(folder, top)


def _root(folder: Path, top: str) -> Path:
    return folder / top if (folder / top).is_dir() else folder / f"{top}.py"


def _files_in(folder: Path, top: str) -> list[Path]:
    root = _root(folder, top)
    return sorted(root.rglob("*.py")) if root.is_dir() else [root] if root.is_file() else []


@cache
def users_files(top: str) -> tuple[Path, ...]:
    """The files of a top-level module, if it is neither Python's, nor installed, nor ours."""
    if in_standard_library(top) or top in _OURS:
        return ()
    try:
        files = files_of(top)
    except (ImportError, ValueError):  # of a module without a spec
        return ()
    return () if any(_INSTALLED.intersection(path.parts) for path in files) else tuple(files)
