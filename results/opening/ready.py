"""The opening of a database: in the newest schema, perhaps in a copy, or refused."""

from results.engine.database import Database
from results.engine.location import StoreError, UnwritableError
from results.opening import copies, rights
from results.opening.renewal import renew
from results.schema import versions
from results.schema.tables import SCHEMA_VERSION


def make_ready(database: Database, *, write: bool, create: bool) -> None:
    """Make a database ready to be read, or to be written too. `create`: make its tables where there are none."""
    rights.demand(database, write=write)
    try:
        found = versions.known(database, create=create)
    except UnwritableError:
        if write or not database.is_file:
            raise
        copies.open_unchanged(database)  # to read it SQLite needs a file beside it, and cannot make one
        return
    if found == SCHEMA_VERSION:
        _fit_summary(database, write=write)
    elif found is None or (write and database.is_file):
        _ensure_newest(database, found)
    elif database.is_file:
        copies.open_unchanged(database)
    else:
        raise StoreError(
            f"{database.place} has schema version {int(found)}, and this nodebench reads and writes "
            f"{int(SCHEMA_VERSION)}: whoever owns its tables upgrades it, by nodebench db upgrade"
        )


def _fit_summary(database: Database, *, write: bool) -> None:
    """Make the table `summary` fit this program's metrics. For a reader, it may have columns of other metrics too."""
    with database.reading() as connection:
        fits = versions.summary_is_ours(connection) if write else versions.summary_serves(connection)
    if fits:
        return
    if write:
        renew(database)
    elif database.is_file:
        copies.open_unchanged(database)
    else:
        raise StoreError(
            f"{database.place} has a table summary without some metrics of this nodebench: whoever owns its tables "
            "makes it anew, by nodebench db upgrade"
        )


def upgrade_at(url: str) -> str:
    """Upgrade the database to the newest schema; a sentence that says what was done."""
    database = Database(url, create=False)
    try:
        _ensure_newest(database, versions.known(database))
    finally:
        database.close()
    return " ".join(database.notices) or f"{database.place} is at schema version {int(SCHEMA_VERSION)} already"


def _ensure_newest(database: Database, found: str | None) -> None:
    """Make the newest schema where this version was found (None: an empty database), or raise a StoreError."""
    if found is None:
        versions.make(database)
    elif found == SCHEMA_VERSION:
        renew(database)
    else:
        from results.opening.migration import upgrade  # Alembic takes a while to load, and is seldom needed

        upgrade(database, found)
