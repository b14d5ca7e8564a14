"""The verb report, which writes the report's page."""

from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use, expand
from bench.verbs.parts.shown import Baseline, Environment, Runs, Shown, Sweeps


@verb(
    "nodebench report --output out/report",
    "nodebench report --sweep default --only backend=node",
    "nodebench report --baseline before-tuning -o out/before",
    "nodebench report --table summary.tex --only problem=spiral",
)
def report(
    environment: Environment = "",
    run: Runs = None,
    sweep: Sweeps = None,
    baseline: Baseline = "",
    only: Only = None,
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
    output: Annotated[Path, typer.Option("--output", "-o", callback=expand, help="Folder of the page.")] = Path(
        "out/report"
    ),
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="FILE", callback=expand, help="Write the table of all cells alone: .tex, .md or .csv."
        ),
    ] = None,
) -> None:
    """Write the report: one HTML page that opens offline.

    Without an option: every sweep in the environment of the run that was recorded last. The page says what else there
    is. With --table: the table of all cells alone, for LaTeX (with booktabs), Markdown, or as CSV with raw numbers.
    """
    from bench.answers.pieces import write_report, write_table_file
    from bench.extensions import use_files

    use_files(use)
    shown = Shown(environment, run or [], sweep or [], baseline, only or [])
    if table:
        write_table_file(db, table, shown)
    else:
        write_report(db, output, shown)
