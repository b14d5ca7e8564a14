"""Which database a verb works on, and which cells of it or of a sweep."""

from typing import Annotated

import typer

Database = Annotated[str, typer.Option("--db", help="Database: a path, or an SQLAlchemy URL.")]

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="FILTER",
        help='Only such cells: "solver=dopri5,tsit5 device=cpu", "dt=none", "key=9cb6". Repeat it: all must hold.',
    ),
]

DEFAULT_DATABASE = "out/bench.db"
