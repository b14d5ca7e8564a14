"""The verbs of `nodebench db`: each parses and calls one function, which is loaded with the first of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.place import DEFAULT_DATABASE, Database, expand

db = typer.Typer(
    help="Look after the database: count, move, name, note, prune, back up.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Frame(StrEnum):
    """What `nodebench db export` can export."""

    summary = "summary"
    runs = "runs"
    cells = "cells"
    trials = "trials"
    metrics = "metrics"
    samples = "samples"
    curves = "curves"
    noise_floors = "noise_floors"


Filter = list[str] | None
Named = Annotated[str, typer.Argument(metavar="NAME", help="The baseline's name.")]


@db.command()
def stats(db: Database = DEFAULT_DATABASE) -> None:
    """Print what is in the database."""
    from bench.verbs.database import print_stats

    print_stats(db)


@db.command()
def merge(
    other: Annotated[str, typer.Argument(help="Another database: a path, or an SQLAlchemy URL.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Bring in everything of OTHER that the database has not; OTHER stays as it is."""
    from bench.verbs.database import merge_from

    merge_from(other, db)


@db.command()
def export(
    file: Annotated[Path, typer.Argument(callback=expand, help="What to write: *.csv, *.parquet or *.jsonl.")],
    frame: Annotated[Frame, typer.Option(help="What of the database.")] = Frame.summary,
    problem: Annotated[Filter, typer.Option(help="Only this problem (repeat for several).")] = None,
    solver: Annotated[Filter, typer.Option(help="Only this solver (repeat for several).")] = None,
    backend: Annotated[Filter, typer.Option(help="Only this backend (repeat for several).")] = None,
    gradient: Annotated[Filter, typer.Option(help="Only this gradient mode (repeat for several).")] = None,
    device: Annotated[Filter, typer.Option(help="Only this device (repeat for several).")] = None,
    run: Annotated[Filter, typer.Option(help="Only this run: its id, or the start of it (repeat for several).")] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Write a table of measurements for other tools."""
    from bench.verbs.database import export_to

    fields = {"problem": problem, "solver": solver, "backend": backend, "gradient": gradient, "device": device}
    export_to(file, frame.value, {name: wanted for name, wanted in fields.items() if wanted}, run or [], db)


@db.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(callback=expand, help="What pytest --benchmark-json=FILE wrote, or --benchmark-save.")
    ],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Take in pytest-benchmark's JSON as a run; a file that is in already changes nothing."""
    from bench.verbs.database import import_from

    import_from(file, db)


@db.command()
def prune(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only what is older.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Remove superseded and interrupted trials, and what nothing names after them.

    The newest trials stay, and so does what a baseline or a note is about, and what is being measured.
    """
    from bench.verbs.database import prune_database

    prune_database(older_than, dry_run, db)


@db.command()
def rebuild(db: Database = DEFAULT_DATABASE) -> None:
    """Make the table `summary` anew from what was measured."""
    from bench.verbs.database import rebuild_summary

    rebuild_summary(db)


@db.command()
def baseline(
    name: Named,
    run: Annotated[str | None, typer.Option(help="The run's id, or the start of it.")] = None,
    note: Annotated[str, typer.Option(help="Why it is kept.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Give the name to these trials instead.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the baseline; its trials stay.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Name the newest trials, to compare later ones with; they are never pruned."""
    from bench.verbs.database import keep_baseline, remove_baseline

    if remove:
        remove_baseline(name, db)
    else:
        keep_baseline(name, run, note, replace, db)


@db.command()
def baselines(db: Database = DEFAULT_DATABASE) -> None:
    """List the baselines."""
    from bench.verbs.database import print_baselines

    print_baselines(db)


@db.command()
def annotate(
    key: Annotated[str, typer.Argument(help="A run's id or a cell's key, or the start of it.")],
    text: Annotated[str, typer.Argument(help="What is to be said of it.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Leave a note on a run or a cell; nodebench show prints it."""
    from bench.verbs.database import annotate_key

    annotate_key(key, text, db)


@db.command()
def backup(
    file: Annotated[
        Path | None,
        typer.Argument(callback=expand, help="A new file; without it, one that names the version and the time."),
    ] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Copy the database, a file's or a server's, to an SQLite file; merging that restores it."""
    from bench.verbs.database import back_up_to

    back_up_to(file, db)


@db.command()
def upgrade(db: Database = DEFAULT_DATABASE) -> None:
    """Bring an older database to this nodebench's schema, after a backup; any opening does so too."""
    from bench.verbs.database import upgrade_database

    upgrade_database(db)
