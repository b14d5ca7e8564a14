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
    """What `nodebench db export` can export."""

    summary = "summary"
    runs = "runs"
    cells = "cells"
    trials = "trials"
    metrics = "metrics"
    samples = "samples"
    curves = "curves"
    noise_floors = "noise_floors"


class OnConflict(StrEnum):
    """What `nodebench db merge` does about a row of one key and other content."""

    refuse = "refuse"
    keep = "keep"
    newer = "newer"


class Form(StrEnum):
    """How `nodebench db export -` can write."""

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
    """Look the database through, and say what is wrong.

    That is pages, rows, hashes, the summary, runs of processes that have ended, and trials that wait to be taken in. A
    line for each finding says how to mend it. Exit code 1 if there is one.
    """
    from bench.answers.health import print_findings

    raise typer.Exit(print_findings(db))


@db.command("runs", epilog=example("nodebench db runs"))
def runs_(db: Database = DEFAULT_DATABASE) -> None:
    """List the runs, and whether they go on."""
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

    That is all whose process is known to have ended, or those that are named. What they have measured stays.
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
            help="Of a row that both have, and not alike: refuse the merge, keep ours, or take the one made later.",
        ),
    ] = OnConflict.refuse,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Bring in all that OTHER has and the database has not.

    OTHER is looked through whole before: a damaged page or a row that breaks a rule is refused, and nothing comes in.
    OTHER stays as it is, and doing it twice changes nothing.
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
    form: Annotated[Form | None, typer.Option("--format", help="Of what goes to stdout; csv if not given.")] = None,
    frame: Annotated[Frame, typer.Option(help="What of the database.")] = Frame.summary,
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
            callback=expand, metavar="FILE", help="What pytest --benchmark-json=FILE wrote, or --benchmark-save."
        ),
    ],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Take in what pytest-benchmark has measured, as a run.

    A file that is in already changes nothing.
    """
    from bench.answers.database import import_from

    import_from(file, db)


@db.command(epilog=example("nodebench db prune --older-than 30 --dry-run"))
def prune(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only what is older.")] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Remove superseded and interrupted trials.

    What nothing names after them goes too. The newest trials stay, and so does what a baseline or a note is about, and
    what is being measured.
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
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Only of this one, by the start of its name.")
    ] = "",
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="WORD", help="Only what ended so, such as timeout.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Remove what was measured and should not count, the newest too.

    What a baseline names stays. The next run of a sweep that asks for the cells measures them.
    """
    from bench.answers.database import forget_in

    forget_in(db, only=only or [], runs=run or [], environment=environment, statuses=status or [], dry_run=dry_run)


@db.command(epilog=example("nodebench db rebuild"))
def rebuild(db: Database = DEFAULT_DATABASE) -> None:
    """Make the table `summary` anew from what was measured."""
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
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be said of it.")],
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Leave a note on a run or a cell; nodebench show prints it."""
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

    It is backed up before. What writes to a file does the same; a server's is upgraded by its owner, with this verb.
    """
    from bench.answers.database import upgrade_database

    upgrade_database(db)
