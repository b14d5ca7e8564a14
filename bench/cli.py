"""The command line: a verb parses, calls one function and prints. stdout carries the answer, stderr the progress.

Exit code 0: done. 2: wrong usage, said in one line. 130: interrupted.
"""

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bench import forkserver
from bench.failure import UsageError
from bench.verbs.db import db
from bench.verbs.place import DEFAULT_DATABASE, Database, expand

app = typer.Typer(
    name="nodebench",
    help="Benchmarks for Neural ODEs: which solver, tolerance, gradient, library, device?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SweepName = Annotated[
    str, typer.Argument(callback=expand, help="A sweep that ships (nodebench list sweeps) or the path of a .toml file.")
]

app.add_typer(db, name="db")


class Registry(StrEnum):
    """What `nodebench list` can list."""

    problems = "problems"
    solvers = "solvers"
    backends = "backends"
    gradients = "gradients"
    sweeps = "sweeps"


@app.command()
def run(sweep: SweepName, db: Database = DEFAULT_DATABASE) -> None:
    """Measure what of SWEEP is not in the database yet."""
    forkserver.start()
    from bench.verbs.sweeps import run_sweep

    raise typer.Exit(run_sweep(sweep, db))


@app.command()
def plan(sweep: SweepName, db: Database = DEFAULT_DATABASE) -> None:
    """Print the cells of SWEEP and what of each is measured already."""
    from bench.verbs.sweeps import print_plan

    print_plan(sweep, db)


@app.command()
def report(
    db: Database = DEFAULT_DATABASE,
    output: Annotated[Path, typer.Option("--output", "-o", callback=expand, help="Folder of the page.")] = Path(
        "out/report"
    ),
) -> None:
    """Write the report: one HTML page that opens offline."""
    from bench.verbs.reading import write_report

    write_report(db, output)


@app.command()
def noise(
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure.")] = 20.0,
) -> None:
    """Measure what this machine's timings differ by of themselves, and say why and what would help."""
    forkserver.start()
    from bench.noise import print_noise

    raise typer.Exit(print_noise(seconds))


@app.command("list")
def list_(registry: Annotated[Registry, typer.Argument(help="What to list.")]) -> None:
    """List problems, solvers, backends, gradients or sweeps, one a line."""
    from bench.verbs.sweeps import print_registry

    print_registry(registry.value)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="A cell's key, or the start of it (see the report or nodebench plan).")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print all that is known of one cell."""
    from bench.verbs.reading import print_cell

    print_cell(key, db)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except UsageError as error:
        print(f"nodebench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("nodebench: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
