"""What there is to measure, as a plan needs to know it: what the registries that are built on torch say, without them.

To load torch takes more time than to plan ten thousand cells. What the registries say is therefore kept in a file, with
a hash of the code that said it: when that has changed, they are loaded and asked again.
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
    """What a problem says of itself."""

    equation: str
    source: str
    horizon: float
    n_outputs: int
    trained: bool
    most: Mapping[str, int]  # axes of which its data have so much and no more
    options: tuple[Option, ...]


@dataclass(frozen=True)
class ListedSolver:
    """What a solver of our own says of itself."""

    order: int
    stages: int
    summary: str
    source: str
    adaptive: bool
    options: tuple[Option, ...]


@dataclass(frozen=True)
class ListedGradient:
    """What a gradient mode of our own says of itself."""

    exactness: str
    memory: str
    time: str
    unsupported: Mapping[str, str]  # why it does not go with a solver, by the solver's name
    independent: bool  # whether each sample may have its own steps
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Catalogue:
    """What there is, by name."""

    problems: Mapping[str, ListedProblem]
    solvers: Mapping[str, ListedSolver]
    gradients: Mapping[str, ListedGradient]
    controller: tuple[Option, ...]  # of step size control
    optimisers: Mapping[str, str]  # why an optimiser cannot be had; empty of one that can


@dataclass(frozen=True)
class _Kept:
    code: str  # a hash of it
    catalogue: Catalogue


_FORM: TypeAdapter[list[_Kept]] = TypeAdapter(list[_Kept])
_MOST = 4  # kept: of other installations and branches, too


def catalogue() -> Catalogue:
    """What the registries say: asked where they are loaded anyway, else read where it is kept."""
    return _catalogue(revision())


@cache
def _catalogue(_revision: int) -> Catalogue:
    if "node.adjoint" in sys.modules:
        return _asked()
    code = _code()
    kept = _read()
    if found := next((one.catalogue for one in kept if one.code == code), None):
        return found
    made = _asked()
    if _code() == code:  # else it was edited while it was loaded
        _write([_Kept(code, made), *kept][:_MOST])
    return made


def _asked() -> Catalogue:
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
    """A hash of all that decides what they say."""
    return f"{digest([*files_of('node'), *files_of('bench')])} torch {metadata.version('torch')}"


def _read() -> list[_Kept]:
    """What is kept; nothing of what is damaged, or was written by somebody else."""
    with suppress(OSError, ValueError):
        path = _file()
        about = path.stat()
        if stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid():
            return _FORM.validate_json(path.read_bytes())
    return []


def _write(kept: list[_Kept]) -> None:
    """Whole, or not at all where there is no place for it: then each plan takes a second or two longer."""
    with suppress(OSError, ValueError), drafted(_file()) as draft:
        draft.write_bytes(_FORM.dump_json(kept))


def _file() -> Path:
    """In the user's folder of caches; a ValueError if they have none."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not folder.is_absolute():  # then it does not count, by the XDG Base Directory Specification
        folder = Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111  (Path's raises without a home)
    if not folder.is_absolute():
        raise ValueError("no home")
    return folder / "nodebench" / "catalogue.json"
