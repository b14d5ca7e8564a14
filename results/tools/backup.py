"""Backups of databases of any version, with a notice of the trials that are spooled for the original."""

from pathlib import Path

from results.engine.database import Database
from results.engine.location import StoreError
from results.opening.copying import back_up
from results.schema import versions
from results.write.spool import Spool
from results.write.taking_in import notices_of_waiting


def back_up_at(url: str, path: Path | None = None) -> tuple[Path, list[str]]:
    """Copy a database of ours as it is, whatever its version; the copy's path, and notices of what the copy lacks."""
    database = Database(url, create=False)
    try:
        with database.reading() as connection:
            version = versions.version(connection)
        if version is None or not version.isdecimal():
            what = "empty" if version is None else f"a foreign database ({version})"
            raise StoreError(f"{database.place} is {what}: pass --db with another path")
        return back_up(database, path), notices_of_waiting(Spool.of(database))
    finally:
        database.close()
