"""The verbs of `nodebench db`: each parses and calls one function, which is loaded with the first of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.parts.help import example
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, expand
from bench.verbs.parts.refusals import Verbs

db = typer.Typer(
    help="Look after the database: count, move, name, note, prune, back up.",
    cls=Verbs,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Frame(StrEnum):
    """The tables that `nodebench db export` can export."""

    summary = "summary"
    runs = "runs"
    cells = "cells"
    trials = "trials"
    metrics = "metrics"
    samples = "samples"
    curves = "curves"
    noise_floors = "noise_floors"


class OnConflict(StrEnum):
    """The ways in which `nodebench db merge` treats a row with the same key and different content."""

    refuse = "refuse"
    keep = "keep"
    newer = "newer"


class Form(StrEnum):
    """The formats that `nodebench db export -` can write."""

    csv = "csv"
    json = "json"
    jsonl = "jsonl"


Named = Annotated[str, typer.Argument(metavar="NAME", help="The baseline's name.")]


@db.command(epilog=example("nodebench db stats"))
def stats(db: Database = DEFAULT_DATABASE) -> None:
    """Print what is in the database."""
    from bench.answers.database import print_stats

    print_stats(db)


@db.command(epilog=example("nodebench db check --db team.db"))
def check(db: Database = DEFAULT_DATABASE) -> None:
    """Check the database, and say what is wrong.

    Checked are pages, rows, hashes, the summary, runs of processes that have ended, and trials that wait to be taken
    in. A line for each finding says how to mend it. Exit code 1 if there is one.
    """
    from bench.answers.health import print_findings

    raise typer.Exit(print_findings(db))


@db.command("runs", epilog=example("nodebench db runs"))
def runs_(db: Database = DEFAULT_DATABASE) -> None:
    """List the runs, and whether they are still running."""
    from bench.answers.health import print_runs

    print_runs(db)


@db.command(epilog=example("nodebench db close", "nodebench db close 3f2a91c0"))
def close(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="A run's id, or the start of it.", show_default=False)
    ] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """End the runs whose processes were killed.

    Without RUN, these are all runs whose process is known to have ended. What they have measured stays.
    """
    from bench.answers.health import close_runs

    close_runs(run or [], db)


@db.command(epilog=example("nodebench db merge other.db"))
def merge(
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another database: a path, or an SQLAlchemy URL.")],
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            "--on-conflict",
            help="For a row that differs in the two: refuse the merge, keep ours, or take the newer one.",
        ),
    ] = OnConflict.refuse,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Bring in all that OTHER has and the database has not.

    All of OTHER is checked first: if a page is damaged or a row breaks a rule, nothing comes in.
    OTHER stays as it is, and a second merge changes nothing.
    """
    from bench.answers.database import merge_from

    merge_from(other, db, on_conflict=on_conflict.value)


@db.command(epilog=example("nodebench db export summary.parquet --only solver=dopri5"))
def export(
    file: Annotated[
        Path,
        typer.Argument(
            callback=expand, metavar="FILE", help="*.csv, *.json, *.jsonl, each also *.gz; *.parquet; or - for stdout."
        ),
    ],
    form: Annotated[Form | None, typer.Option("--format", help="The format on stdout; csv if not given.")] = None,
    frame: Annotated[Frame, typer.Option(help="The table to export.")] = Frame.summary,
    only: Only = None,
    run: Annotated[
        list[str] | None, typer.Option(help="Only this run: its id, or the start of it (repeat for several).")
    ] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Write a table of measurements for other tools."""
    from bench.answers.database import export_to

    export_to(file, form and form.value, frame.value, only or [], run or [], db)


@db.command("import", epilog=example("nodebench db import benchmark.json"))
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            callback=expand, metavar="FILE", help="A file that pytest --benchmark-json=FILE or --benchmark-save wrote."
        ),
    ],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Import what pytest-benchmark has measured, as a run.

    A file that was imported before changes nothing.
    """
    from bench.answers.database import import_from

    import_from(file, db)


@db.command(epilog=example("nodebench db prune --older-than 30 --dry-run"))
def prune(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only trials that are older.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Remove superseded and interrupted trials.

    What nothing refers to after that is removed too. The newest trials stay, and so does what a baseline or a note is
    about, and what is being measured.
    """
    from bench.answers.database import prune_database

    prune_database(older_than, dry_run, db)


@db.command(
    epilog=example(
        'nodebench db forget --only "solver=rk4 problem=spiral" --dry-run', "nodebench db forget --run 3f2a91c0"
    )
)
def forget(
    only: Only = None,
    run: Annotated[list[str] | None, typer.Option("--run", metavar="ID", help="Only of this run (repeat it).")] = None,
    environment: Annotated[
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Only of this environment; the start is enough.")
    ] = "",
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="WORD", help="Only with this status, such as timeout.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Remove measured trials that should not count, the newest too.

    Trials of a baseline stay. The next run of a sweep with these cells measures them again.
    """
    from bench.answers.database import forget_in

    forget_in(db, only=only or [], runs=run or [], environment=environment, statuses=status or [], dry_run=dry_run)


@db.command(epilog=example("nodebench db rebuild"))
def rebuild(db: Database = DEFAULT_DATABASE) -> None:
    """Rebuild the table `summary` from what was measured."""
    from bench.answers.database import rebuild_summary

    rebuild_summary(db)


@db.command(epilog=example("nodebench db baseline before-tuning --note 'the last release'"))
def baseline(
    name: Named,
    run: Annotated[str | None, typer.Option(help="The run's id, or the start of it.")] = None,
    note: Annotated[str, typer.Option(help="Why it is kept.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Give the name to these trials instead.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the baseline; its trials stay.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Name the newest trials, to compare later ones with.

    They are never pruned.
    """
    from bench.answers.database import keep_baseline, remove_baseline

    if remove:
        remove_baseline(name, db)
    else:
        keep_baseline(name, run, note, replace, db)


@db.command(epilog=example("nodebench db baselines"))
def baselines(db: Database = DEFAULT_DATABASE) -> None:
    """List the baselines."""
    from bench.answers.database import print_baselines

    print_baselines(db)


@db.command(epilog=example("nodebench db annotate 9cb6703c 'the fan was broken'"))
def annotate(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A run's id or a cell's key, or the start of it.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text of the note.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Add a note to a run or a cell; nodebench show prints it."""
    from bench.answers.database import annotate_key

    annotate_key(key, text, db)


@db.command(epilog=example("nodebench db backup copy.db"))
def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            callback=expand, metavar="FILE", help="A new file; without it, one that names the version and the time."
        ),
    ] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Copy the database to an SQLite file.

    The database may be a server's. Merging the copy restores it.
    """
    from bench.answers.database import back_up_to

    back_up_to(file, db)


@db.command(epilog=example("nodebench db upgrade --db old.db"))
def upgrade(db: Database = DEFAULT_DATABASE) -> None:
    """Bring an older database to this nodebench's schema.

    It is backed up first. A verb that writes to a file upgrades it too; a server's database is upgraded by its owner,
    with this verb.
    """
    from bench.answers.database import upgrade_database

    upgrade_database(db)
