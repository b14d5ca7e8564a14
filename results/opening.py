"""A database as it is opened: in the newest schema, be it in a copy, or refused."""

from results import copies, rights, schema
from results.database import Database
from results.location import StoreError, UnwritableError
from results.tables import SCHEMA_VERSION


def make_ready(database: Database, *, write: bool, create: bool) -> None:
    """To be read, or to be written too; `create`: to be made where there is none."""
    rights.demand(database, write=write)
    try:
        found = schema.known(database, create=create)
    except UnwritableError:
        if write or not database.is_file:
            raise
        copies.leave(database)  # it cannot be read without a file beside it, which cannot be made there
        return
    if found in (None, SCHEMA_VERSION) or (write and database.is_file):
        schema.ensure(database, create=create)
    elif database.is_file:
        copies.leave(database)
    else:
        raise StoreError(
            f"{database.place} has schema version {int(found or 0)}, and this nodebench reads and writes "
            f"{int(SCHEMA_VERSION)}: whoever owns its tables upgrades it, by nodebench db upgrade"
        )
