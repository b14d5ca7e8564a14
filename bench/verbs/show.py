"""The verb show, which prints what is known of a cell, or a table of cells."""

from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Use


@verb(
    "nodebench show 9cb6703c",
    "nodebench show problem=spiral solver=dopri5",
    "nodebench show 9cb6703c --samples",
    "nodebench show 9cb6703c --of before-tuning",
)
def show(
    cells: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY|AXIS=VALUE...",
            help="A cell's key or the start of it, or axes as --only has them; without any, all cells are listed.",
        ),
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Print the trials, metrics and raw samples of the cell, a row each, too.")
    ] = False,
    of: Annotated[
        str,
        typer.Option(
            "--of", metavar="SIDE", help="Of a run, a baseline, a git revision or an environment, as compare takes it."
        ),
    ] = "",
    environment: Annotated[
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Measured on this machine; or its start.")
    ] = "",
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print a cell on one screen, or a table of several cells.

    The numbers are those of the environment that measured the cells last. One cell is printed with its numbers, how its
    trials ended and how to measure it again; several are listed with their times, errors and memory.
    """
    from bench.answers.cells import print_cells
    from bench.extensions import use_files

    use_files(use)
    print_cells(db, cells or [], of=of, environment=environment, samples=samples, use=use or [])
