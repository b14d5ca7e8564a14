"""The verb show, which prints all that is known of a cell."""

from typing import Annotated

import typer

from bench.failure import UsageError
from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use


@verb("nodebench show 9cb6703c", "nodebench show 9cb6703c --of before-tuning")
def show(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="A cell's key, or the start of it; without it, the cells are listed."),
    ] = None,
    only: Only = None,
    of: Annotated[
        str,
        typer.Option(
            "--of", metavar="SIDE", help="Of a run, a baseline, a git revision or an environment, as compare takes it."
        ),
    ] = "",
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print all that is known of one cell, or list the cells."""
    from bench.answers.reading import print_cell, print_cells
    from bench.extensions import use_files

    if key is not None and only:
        raise UsageError(f"KEY {key} names one cell, --only several: give one of the two")
    if key is None and of:
        raise UsageError(f"--of {of} is for one cell: give its KEY")
    use_files(use)
    if key is None:
        print_cells(db, only=only or [])
    else:
        print_cell(key, db, of=of)
