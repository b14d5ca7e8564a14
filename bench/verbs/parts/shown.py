"""Parameters of verbs that show a part of the database: of which environment, runs, sweeps, baseline and cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

Environment = Annotated[
    str, typer.Option("--environment", metavar="FINGERPRINT", help="Of this machine and software, or its start.")
]
Runs = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="ID", help="What this run measured, and nothing else. Repeat it for several."),
]
Sweeps = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="NAME", help="Only this sweep: its name, or the start of its text's hash."),
]
Baseline = Annotated[str, typer.Option("--baseline", metavar="NAME", help="The trials of this baseline.")]


@dataclass(frozen=True)
class Shown:
    """What the user wants shown, as it was written; an empty field: all, or the newest."""

    environment: str = ""
    runs: Sequence[str] = ()
    sweeps: Sequence[str] = ()
    baseline: str = ""
    only: Sequence[str] = ()
