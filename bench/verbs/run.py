"""The verb run, which measures what a sweep still needs."""

from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, SweepName, Use


@verb(
    "nodebench run mine.toml --strict",
    'nodebench run default --only "solver=dopri5" --again failed',
    "nodebench run default --quiet --db team.db",
)
def run(
    sweep: SweepName,
    only: Only = None,
    use: Use = None,
    again: Annotated[
        list[str] | None,
        typer.Option(
            "--again",
            metavar="WHICH",
            help="Measure again what counts already: all, failed, unstable, or the start of cells' keys, with commas.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the last lines.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if a cell failed or is still to do.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Measure what SWEEP still needs.

    That is what was not measured yet, or of code that has changed since, or for less than is asked for now. Ctrl-C
    loses nothing that was measured: the same command continues. A cell that cannot be measured here (its library does
    not offer it, its device is missing) is no failure.
    """
    from bench.answers.sweeps import run_sweep

    given = {"only": only or [], "use": use or [], "again": again or []}
    raise typer.Exit(run_sweep(sweep, db, **given, quiet=quiet, strict=strict))
