"""The verb history, which prints how metrics changed over runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.verbs.base import verb
from bench.verbs.parts.place import DEFAULT_DATABASE, Database, Only, expand


class Form(StrEnum):
    """The formats that `nodebench history` can write besides lines."""

    csv = "csv"
    json = "json"


@verb(
    "nodebench history",
    "nodebench history --metric gradient_s --only solver=dopri5 --all",
    "nodebench history -o out/history",
    "nodebench history --format csv > history.csv",
)
def history(
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="Only this metric, such as forward_s. Repeat it for several."),
    ] = None,
    only: Only = None,
    environment: Annotated[
        str, typer.Option("--environment", metavar="FINGERPRINT", help="Of this machine and software, or its start.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="What did not change too.")] = False,
    form: Annotated[
        Form | None, typer.Option("--format", help="Write a row for each value to stdout, in this format.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=expand, help="Write a page, history.html, to this folder.")
    ] = None,
    db: Database = DEFAULT_DATABASE,
) -> None:
    """Print how each metric changed over runs.

    Times are compared as ratios to a control's of the same rounds, and change points are tested; exact metrics have a
    step wherever their value changes. All runs count, older ones too; each environment has its own series.
    """
    from bench.answers.history import print_history

    print_history(
        db,
        metrics=metric or [],
        only=only or [],
        environment=environment,
        every=every,
        form=form and form.value,
        folder=output,
    )
