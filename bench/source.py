"""The code that a trial measures, as names and hashes: when they change, the trial is due again.

Files are read, never imported, because the report, which is written without torch, needs these facts too.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bench.code_files import OURS, files_of, hash_of, library, reached
from bench.extensions import BACKEND, GRADIENT, PROBLEM, SOLVER, library_of, provided_by, revision
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
_MEASURING = ("bench.measures", "bench.workload", "node")  # node computes true values and counts calls for all
_BINDING = ("bench.backends", "bench.workload", "bench.options", "node.controller")


def source_of(cell: Cell, kind: TrialKind) -> Source:
    """The source that a trial of this kind of the cell measures."""
    return _source(*_measured(cell), kind)


def sources_of(cells: Iterable[Cell]) -> list[Source]:
    """The distinct sources of all trials of the cells."""
    distinct = {(*_measured(cell), bool(cell.iterations)): cell for cell in cells}
    measured = {(*by[:-1], kind) for by, cell in distinct.items() for kind in (*kinds(cell), "twin")}
    return list({(found := _source(*decisive)).key: found for decisive in sorted(measured)}.values())


def _measured(cell: Cell) -> tuple[str, str, str, str, bool, int]:
    """The fields of a cell that decide which code it measures, and the revision of the user's loaded files."""
    return cell.backend, cell.problem, cell.solver, cell.gradient, bool(cell.evaluate), revision()


@cache
def _source(
    backend: str, problem: str, solver: str, gradient: str, evaluated: bool, _revision: int, kind: TrialKind
) -> Source:
    """The source of a trial, by the fields that decide it. An unknown name has "none" in place of a hash."""
    brought = {name: provided_by(name, value) for name, value in ((SOLVER, solver), (GRADIENT, gradient))}
    return Source(
        {
            "library": library(library_of(backend) or backend),
            "adapter": f"{backend} {hash_of(provided_by(BACKEND, backend) or reached(_module_of(backend), *_BINDING))}",
            "problem": f"{problem} {hash_of(provided_by(PROBLEM, problem) or _built_in(problem))}",
            "measure": _evaluating() if kind == "training" and evaluated else _measuring(kind),
            **{
                name: f"{value} {hash_of(files)}"
                for (name, files), value in zip(brought.items(), (solver, gradient), strict=True)
                if files
            },
        }
    )


def _module_of(backend: str) -> str:
    return f"bench.backends.{backend}" if backend.isidentifier() else ""


def _built_in(problem: str) -> Iterable[Path]:
    return reached(_defining(problem), "bench.problems", "node.models")


@cache
def _measuring(kind: TrialKind) -> str:
    return f"{kind} {hash_of(reached(f'bench.measures.{_MEASURES[kind]}', *_MEASURING))}"


@cache
def _evaluating() -> str:
    """The code of a training whose model is then solved with other solvers: node's, if its own library lacks them."""
    adapter = reached(f"bench.backends.{OURS}", *_BINDING)
    training = reached("bench.measures.training", *_MEASURING, "bench.solve_spec")
    return f"evaluation {hash_of({*training, *adapter, *files_of(OURS), *files_of('bench.solve_spec')})}"


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
        values = (getattr(keyword.value, "value", None) for keyword in keywords if keyword.arg == "name")
        found[f"bench.problems.{path.stem}"] = {value for value in values if isinstance(value, str)}
    return found
