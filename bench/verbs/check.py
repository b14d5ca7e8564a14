"""The verb check, which checks a user's own file."""

from typing import Annotated

import typer

from bench.verbs.base import verb


@verb("nodebench check pendulum.py")
def check(file: Annotated[str, typer.Argument(metavar="FILE", help="A .py file, or a module.")]) -> None:
    """Check what FILE registers, such as problems or solvers."""
    from bench.answers.own import check_file

    raise typer.Exit(check_file(file))
