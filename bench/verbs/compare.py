"""The verb compare, which tells what became better or worse between two sides."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, Use, expand

_SIDE = "a database, or within --db a baseline's name, or the start of a run's id, git revision or environment."


class Form(StrEnum):
    """The formats that `nodebench compare` can print in place of lines for a terminal."""

    markdown = "markdown"
    json = "json"
    csv = "csv"
    github = "github"


@verb(
    "nodebench compare before-tuning out/bench.db",
    "nodebench compare main.db mine.db --strict --format github",
    "nodebench compare 3f2a91c0 9b1c04de --all -o out/report",
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=f"Before: {_SIDE}")],
    b: Annotated[str, typer.Argument(metavar="B", help="After: the same.")],
    form: Annotated[Form | None, typer.Option("--format", help="Print this instead of lines for a terminal.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List what is within noise, unknown, new or gone too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if anything regressed.")] = False,
    environment: Annotated[
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Only of this one; the start is enough.")
    ] = "",
    only: Only = None,
    use: Use = None,
    db: Database = DEFAULT_DATABASE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=expand, help="Write compare.html into this folder too.")
    ] = None,
) -> None:
    """Compare A with B: what improved, what regressed.

    Counts, errors and bytes are compared exactly; times by the ratio of samples of the same rounds, or through a
    control that was timed beside both. Times of two environments are not compared. A name that several things have is
    written with its kind, as in run:3f2a or baseline:3f2a.
    """
    from bench.answers.compare import print_comparison
    from bench.extensions import use_files

    use_files(use)
    code = print_comparison(
        a,
        b,
        db,
        form=form.value if form else "",
        only=only or [],
        environment=environment,
        every=every,
        folder=output,
        strict=strict,
    )
    raise typer.Exit(code)
