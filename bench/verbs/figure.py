"""The verb figure, which lists the report's figures, or writes one of them to a file."""

from pathlib import Path
from typing import Annotated

import typer

from bench.failure import UsageError
from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use, expand
from bench.verbs.parts.shown import Baseline, Environment, Runs, Shown, Sweeps


@verb(
    "nodebench figure",
    "nodebench figure adaptive/error-against-time -o precision.pdf",
    "nodebench figure adaptive/error-against-time -o precision.svg --width 3.3",
)
def figure(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the figure; without it, the figures are listed with their titles.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=expand, help="File: .pdf, .svg or .png.")
    ] = None,
    width: Annotated[float, typer.Option("--width", help="Of the figure in inches; the height follows.")] = 6.5,
    environment: Environment = "",
    run: Runs = None,
    sweep: Sweeps = None,
    baseline: Baseline = "",
    only: Only = None,
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Write a figure of the report to a file, fit for a paper.

    It has its title, its legend and the names of its axes in it, and text as text. Of several panels each can be
    written alone, under a name of its own.
    """
    from bench.answers.pieces import print_figures, write_figure_file
    from bench.extensions import use_files

    use_files(use)
    shown = Shown(environment, run or [], sweep or [], baseline, only or [])
    if name and output:
        write_figure_file(db, name, output, shown, width=width)
    elif name or output:
        raise UsageError(
            f"figure {name}: the file is missing: pass -o with a .pdf, .svg or .png file"
            if name
            else f"figure -o {output}: NAME is missing: nodebench figure lists the names"
        )
    else:
        print_figures(db, shown)
