"""The verb new, which writes a template for a user's own file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import expand


class Kind(StrEnum):
    """The kinds of file that `nodebench new` can write."""

    problem = "problem"
    backend = "backend"
    solver = "solver"


@verb("nodebench new problem pendulum", "nodebench new backend mylib -o mylib.py")
def new(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="problem, backend or solver.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in sweeps.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=expand, help="The file; NAME.py by default.")
    ] = None,
) -> None:
    """Write a working file to start one of your own from."""
    from bench.answers.own import write_new

    write_new(kind.value, name, output)
