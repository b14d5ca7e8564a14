"""Another database, looked through whole before anything of it comes in."""

from contextlib import closing

from sqlalchemy import Connection, text

from results import rules, structure
from results.chunks import chunks, of_table
from results.location import StoreError
from results.tables import metadata

# Not the version, what goes on there now, and what follows from the other tables.
MOVED = [table for table in metadata.sorted_tables if table.name not in ("nodebench", "lease", "summary")]
_CHUNK = 5_000  # rows in memory


def verify(connection: Connection, place: str) -> None:
    """Raise a StoreError that names what is wrong in the database at this place, be it a page, a table or a row."""
    if connection.dialect.name == "sqlite" and (wrong := _unsound(connection)):
        raise StoreError(f"{place}: {wrong}: nothing of it was taken; nodebench db check --db {place} says more")
    for table in MOVED:
        try:
            with closing(chunks(connection, of_table(table), _CHUNK)) as parts:
                for part in parts:
                    rules.check(table, part)
        except StoreError as error:
            raise StoreError(f"{place}: {error}: nothing was taken; mend or remove what has that row") from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            said = str(error).partition("\n")[0]
            raise StoreError(
                f"{place}: its table {table.name} has a value that cannot be read ({said}): nothing was taken; "
                "mend or remove it"
            ) from error


def _unsound(connection: Connection) -> str:
    """What is wrong with a file, beside its rows."""
    if (said := connection.scalar(text("pragma integrity_check(1)"))) != "ok":
        return f"the file is damaged ({said})"
    if acting := structure.acting(connection):
        return f"it has {acting}, and a database of ours has plain tables"
    if name := structure.different(connection):
        return f"its table {name} is not as nodebench makes it"
    missing = text('select "table", parent from pragma_foreign_key_check limit 1')
    broken = connection.execute(missing).first()
    return f"a row of {broken[0]} belongs to a row of {broken[1]} that is missing" if broken else ""
