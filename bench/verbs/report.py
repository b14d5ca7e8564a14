"""The verb report, which writes the report's page."""

from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use, expand


@verb(
    "nodebench report --output out/report",
    "nodebench report --sweep default --only backend=node",
    "nodebench report --baseline before-tuning -o out/before",
)
def report(
    environment: Annotated[
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Of this machine and software, or its start.")
    ] = "",
    run: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="ID", help="What this run measured, and nothing else. Repeat it for several."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option("--sweep", metavar="NAME", help="Only this sweep: its name, or the start of its text's hash."),
    ] = None,
    baseline: Annotated[str, typer.Option("--baseline", metavar="NAME", help="The trials of this baseline.")] = "",
    only: Only = None,
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
    output: Annotated[Path, typer.Option("--output", "-o", callback=expand, help="Folder of the page.")] = Path(
        "out/report"
    ),
) -> None:
    """Write the report: one HTML page that opens offline.

    Without an option: every sweep in the environment of the run that was recorded last. The page says what else there
    is.
    """
    from bench.answers.reading import write_report
    from bench.extensions import use_files

    use_files(use)
    write_report(
        db,
        output,
        environment=environment,
        runs=run or [],
        sweeps=sweep or [],
        baseline=baseline,
        only=only or [],
    )
