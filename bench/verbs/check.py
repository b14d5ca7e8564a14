"""The verb check: a file of one's own looked through."""

from typing import Annotated

import typer

from bench.verbs.base import verb


@verb("nodebench check pendulum.py")
def check(file: Annotated[str, typer.Argument(metavar="FILE", help="A .py file, or a module.")]) -> None:
    """Hold what FILE registers to what a good one keeps."""
    from bench.answers.own import check_file

    raise typer.Exit(check_file(file))
