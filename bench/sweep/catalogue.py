"""The catalogue of what can be measured: the facts of the registries that need torch, without loading torch.

Loading torch takes more time than planning ten thousand cells. The registries' facts are therefore kept in a file, with
a hash of the code that they come from: when that has changed, the registries are loaded and read again.
"""

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from pydantic import TypeAdapter

from bench.code_files import digest, files_of
from bench.extensions import revision
from bench.options import Option, options_of_value
from results.engine.drafts import drafted


@dataclass(frozen=True)
class ListedProblem:
    """The facts about a problem that a plan needs."""

    equation: str
    source: str
    horizon: float
    n_outputs: int
    trained: bool
    most: Mapping[str, int]  # the largest values of axes that the problem's data allow
    options: tuple[Option, ...]


@dataclass(frozen=True)
class ListedSolver:
    """The facts about a solver of `node` that a plan needs."""

    order: int
    stages: int
    summary: str
    source: str
    adaptive: bool
    options: tuple[Option, ...]


@dataclass(frozen=True)
class ListedGradient:
    """The facts about a gradient mode of `node` that a plan needs."""

    exactness: str
    memory: str
    time: str
    unsupported: Mapping[str, str]  # why the mode does not support a solver, by the solver's name
    independent: bool  # whether each sample may have its own steps
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Catalogue:
    """The problems, solvers, gradient modes and optimisers, by name."""

    problems: Mapping[str, ListedProblem]
    solvers: Mapping[str, ListedSolver]
    gradients: Mapping[str, ListedGradient]
    controller: tuple[Option, ...]  # of step size control
    optimisers: Mapping[str, str]  # why an optimiser cannot be used; empty if it can


@dataclass(frozen=True)
class _Kept:
    code: str  # a hash of the code that the catalogue comes from
    catalogue: Catalogue


_FORM: TypeAdapter[list[_Kept]] = TypeAdapter(list[_Kept])
_MOST = 4  # catalogues that are kept: other installations and branches have their own


def catalogue() -> Catalogue:
    """The catalogue: from the registries if these are loaded, else from the file where it is kept."""
    return _catalogue(revision())


@cache
def _catalogue(_revision: int) -> Catalogue:
    if "node.adjoint" in sys.modules:
        return _from_registries()
    code = _code()
    kept = _read()
    if found := next((entry.catalogue for entry in kept if entry.code == code), None):
        return found
    made = _from_registries()
    if _code() == code:  # otherwise the code was edited while it was loaded
        _write([_Kept(code, made), *kept][:_MOST])
    return made


def _from_registries() -> Catalogue:
    from bench.backends.controller import controller_options
    from bench.measures.optimisers import OPTIMISERS, REFUSED
    from bench.problems import PROBLEMS
    from node import ADJOINTS, SOLVERS
    from node.adjoint import Adjoint
    from node.solvers import Solver

    return Catalogue(
        problems={
            p.name: ListedProblem(
                p.equation, p.source, p.horizon, p.n_outputs, p.recipe is not None, dict(p.most), p.options
            )
            for p in PROBLEMS.values()
        },
        solvers={
            s.name: ListedSolver(
                s.order, s.stages, s.summary, s.source, s.adaptive, options_of_value(s, "solver", beside=Solver)
            )
            for s in SOLVERS.values()
        },
        gradients={
            mode.name: ListedGradient(
                mode.exactness,
                mode.memory,
                mode.time,
                {name: reason for name, solver in SOLVERS.items() if (reason := mode.unsupported(solver))},
                mode.independent,
                options_of_value(mode, "gradient", beside=Adjoint),
            )
            for mode in ADJOINTS.values()
        },
        controller=controller_options(),
        optimisers={**dict.fromkeys(OPTIMISERS, ""), **REFUSED},
    )


def _code() -> str:
    """A hash of all that decides what the registries hold."""
    return f"{digest([*files_of('node'), *files_of('bench')])} torch {metadata.version('torch')}"


def _read() -> list[_Kept]:
    """The kept catalogues; none if the file is damaged, or belongs to another user."""
    with suppress(OSError, ValueError):
        path = _file()
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid():
            return _FORM.validate_json(path.read_bytes())
    return []


def _write(kept: list[_Kept]) -> None:
    """Write the file as a whole, or not at all if it cannot be written: then each plan takes a second or two longer."""
    with suppress(OSError, ValueError), drafted(_file()) as draft:
        draft.write_bytes(_FORM.dump_json(kept))


def _file() -> Path:
    """The file's path, in the user's cache folder; a ValueError if they have none."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not folder.is_absolute():  # then it must be ignored, by the XDG Base Directory Specification
        folder = Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111  (Path's raises without a home)
    if not folder.is_absolute():
        raise ValueError("no home")
    return folder / "nodebench" / "catalogue.json"
