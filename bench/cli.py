"""The command line: a verb parses, calls one function and prints. stdout carries the answer, stderr the progress."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.failure import UsageError
from bench.sweep.shipped import shipped
from bench.verbs.db import db
from bench.verbs.help import example
from bench.verbs.place import DEFAULT_DATABASE, Database, Only, expand
from bench.verbs.refusals import Verbs, refusal

NAME = "nodebench"

app = typer.Typer(
    name=NAME,
    cls=Verbs,
    help="Benchmarks for Neural ODEs: which solver, tolerance, gradient, library, device?",
    epilog=example("nodebench run smoke && nodebench report"),
    rich_markup_mode=None,  # rich takes longer to load than all else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SweepName = Annotated[
    str,
    typer.Argument(
        callback=expand,
        metavar="SWEEP",
        help="A sweep that ships (nodebench list sweeps) or the path of a .toml file.",
        autocompletion=lambda: list(shipped()),
    ),
]

app.add_typer(db, name="db")


class Registry(StrEnum):
    """What `nodebench list` can list."""

    problems = "problems"
    solvers = "solvers"
    backends = "backends"
    gradients = "gradients"
    sweeps = "sweeps"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(f"{NAME} {metadata.version(NAME)}")
        raise typer.Exit


@app.callback()
def nodebench(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What is asked without a verb."""


@app.command(
    epilog=example(
        "nodebench run mine.toml --strict",
        'nodebench run default --only "solver=dopri5" --again failed',
        "nodebench run default --quiet --db team.db",
    )
)
def run(
    sweep: SweepName,
    only: Only = None,
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
    loses nothing that was measured: the same command goes on. A cell that cannot be measured here (its library does
    not offer it, its device is missing) is no failure.
    """
    from bench.verbs.sweeps import run_sweep

    raise typer.Exit(run_sweep(sweep, db, only=only or [], again=again or [], quiet=quiet, strict=strict))


@app.command(epilog=example("nodebench plan default"))
def plan(sweep: SweepName, only: Only = None, db: Database = DEFAULT_DATABASE) -> None:
    """Print the cells of SWEEP and what of each is measured already."""
    from bench.verbs.plan import print_plan

    print_plan(sweep, db, only=only or [])


@app.command(
    epilog=example(
        "nodebench report --output out/report",
        "nodebench report --sweep default --only backend=node",
        "nodebench report --baseline before-tuning -o out/before",
    )
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
    db: Database = DEFAULT_DATABASE,
    output: Annotated[Path, typer.Option("--output", "-o", callback=expand, help="Folder of the page.")] = Path(
        "out/report"
    ),
) -> None:
    """Write the report: one HTML page that opens offline.

    Without an option: every sweep in the environment of the run that was recorded last. The page says what else there
    is.
    """
    from bench.verbs.reading import write_report

    write_report(
        db,
        output,
        environment=environment,
        runs=run or [],
        sweeps=sweep or [],
        baseline=baseline,
        only=only or [],
    )


@app.command(epilog=example("nodebench noise --seconds 60"))
def noise(
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure.")] = 20.0,
) -> None:
    """Measure how noisy this machine is, why, and what would help."""
    from bench.worker import forkserver

    forkserver.start()
    from bench.run.noise import print_noise

    raise typer.Exit(print_noise(seconds))


@app.command("list", epilog=example("nodebench list solvers"))
def list_(registry: Annotated[Registry, typer.Argument(metavar="WHAT", help="What to list.")]) -> None:
    """List problems, solvers, backends, gradients or sweeps, one a line."""
    from bench.verbs.sweeps import print_registry

    print_registry(registry.value)


@app.command(epilog=example("nodebench show 9cb6703c"))
def show(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="A cell's key, or the start of it; without it, the cells are listed."),
    ] = None,
    only: Only = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print all that is known of one cell, or list the cells."""
    from bench.verbs.reading import print_cell, print_cells

    if key is not None and only:
        raise UsageError(f"KEY {key} names one cell, --only several: give one of the two")
    if key is None:
        print_cells(db, only=only or [])
    else:
        print_cell(key, db)


def answer(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code. A UsageError of one line where they say nothing that can be done."""
    command = typer.main.get_command(app)
    try:
        if f"_{NAME.upper()}_COMPLETE" in os.environ:  # a shell asks, and gets its answer instead
            command.main(list(arguments), NAME)
        with command.make_context(NAME, list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        raise UsageError(refusal(error)) from None
    return 0
