"""Parameters of verbs that name a database, a file (where `~` is the user's home), a sweep or a filter of cells."""

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bench.failure import UsageError
from bench.sweep.shipped import shipped

Name = TypeVar("Name", str, Path, Path | None)


def expand(name: Name) -> Name:
    """The callback of every parameter that is a path, except a database's, which is expanded when it is opened."""
    if name is None or not str(name).startswith("~"):
        return name
    from results.engine.location import StoreError, expanded  # loads SQLAlchemy, which takes a while

    try:
        return type(name)(expanded(str(name)))
    except StoreError as error:
        raise UsageError(str(error)) from None


Database = Annotated[str, typer.Option("--db", help="Database: a path, or an SQLAlchemy URL.")]

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="FILTER",
        help='Only such cells: "solver=dopri5,tsit5 device=cpu", "dt=none", "key=9cb6". Repeat it: all must hold.',
    ),
]

Use = Annotated[
    list[str] | None,
    typer.Option(
        "--use",
        metavar="FILE",
        help="A .py file, or a module, that registers problems, backends, solvers or modes. Repeat it for several.",
    ),
]

SweepName = Annotated[
    str,
    typer.Argument(
        callback=expand,
        metavar="SWEEP",
        help="A sweep that ships (nodebench list sweeps) or the path of a .toml file.",
        autocompletion=lambda: list(shipped()),
    ),
]

DEFAULT_DATABASE = "out/bench.db"
