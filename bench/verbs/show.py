"""The verb show, which prints all that is known of a cell."""

from typing import Annotated

import typer

from bench.failure import UsageError
from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use


@verb("nodebench show 9cb6703c")
def show(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="A cell's key, or the start of it; without it, the cells are listed."),
    ] = None,
    only: Only = None,
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print all that is known of one cell, or list the cells."""
    from bench.answers.reading import print_cell, print_cells
    from bench.extensions import use_files

    if key is not None and only:
        raise UsageError(f"KEY {key} names one cell, --only several: give one of the two")
    use_files(use)
    if key is None:
        print_cells(db, only=only or [])
    else:
        print_cell(key, db)
