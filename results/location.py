"""Where a database is: a URL or a path, checked before anything is opened or made."""

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_SECRETS = ("password", "sslpassword")  # what a URL may say after its question mark


class StoreError(Exception):
    """What is wrong with a database, what was seen, what to do: one line for the user."""


class MissingDatabaseError(StoreError):
    """There is no database yet, where one was only to be read."""


class UnwritableError(StoreError):
    """The database cannot be used now: locked, full, read only, or its server away. Nothing was wrong with the data."""


def locate(url: str, *, create: bool) -> URL:
    """The checked URL; a plain path means SQLite. With `create`, the folders above a file are made."""
    parsed = _parse(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")  # SQLAlchemy's own choice depends on its release
    path = file_of(parsed)
    if path is not None:
        _check_file(path, create=create)
    return parsed


def file_of(url: URL) -> Path | None:
    """The database's file; None for a server's, and for one in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def place(url: URL) -> str:
    """What the user would call it; a password is left out."""
    if url.get_backend_name() == "sqlite":
        return url.database or "the database in memory"
    public = url._replace(drivername=url.get_backend_name(), password=None)  # URL.set leaves out what is None
    return public.difference_update_query(_SECRETS).render_as_string()


def _parse(url: str) -> URL:
    if not url.strip():
        raise StoreError("the database's name is empty: pass --db with a path or a URL")
    if "://" not in url and not url.startswith("sqlite:"):
        return URL.create("sqlite", database=url)
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            f"malformed database URL {_without_password(url)!r}: "
            "write a path such as out/bench.db, or sqlite:///out/bench.db"
        ) from error


def _without_password(url: str) -> str:
    url = re.sub(r"(://[^/:@]*):.*@", r"\1@", url)
    return re.sub(rf"({'|'.join(_SECRETS)})=[^&]*", r"\1=", url)


def _check_file(path: Path, *, create: bool) -> None:
    try:
        if path.is_dir():
            raise StoreError(f"{path} is a folder: pass --db with a file, such as {path / 'bench.db'}")
        if path.exists():
            _check_header(path)
        elif create:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            raise MissingDatabaseError(f"no database at {path}: run `nodebench run` first or pass --db")
    except OSError as error:
        raise StoreError(f"{path} cannot be opened ({error.strerror}): pass --db with another path") from error


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(16)
    if header not in (b"", b"SQLite format 3\0"):
        raise StoreError(f"{path} is not an SQLite database: pass --db with another path")
