"""Which database a verb works on."""

from typing import Annotated

import typer

Database = Annotated[str, typer.Option("--db", help="Database: a path, or an SQLAlchemy URL.")]

DEFAULT_DATABASE = "out/bench.db"
