"""Which database and which files a verb works on. A `~` in their names is the user's home, whatever the shell did."""

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bench.failure import UsageError

Name = TypeVar("Name", str, Path, Path | None)


def expand(name: Name) -> Name:
    """The callback of every parameter that is a path, but for a database's, which is expanded as it is opened."""
    if name is None or not str(name).startswith("~"):
        return name
    from results.location import StoreError, expanded  # loads SQLAlchemy, which takes a while

    try:
        return type(name)(expanded(str(name)))
    except StoreError as error:
        raise UsageError(str(error)) from None


Database = Annotated[str, typer.Option("--db", help="Database: a path, or an SQLAlchemy URL.")]

DEFAULT_DATABASE = "out/bench.db"
