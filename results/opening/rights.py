"""The rights of a server's user: all missing rights are named at once, before anything is measured."""

from sqlalchemy import Connection, func, select, text

from results.engine.database import Database
from results.engine.location import StoreError
from results.schema.tables import metadata

_READING = ("SELECT",)
_WRITING = ("SELECT", "INSERT", "UPDATE", "DELETE")
_NUMBERED = ("sweep", "trial")  # tables whose rows are numbered by a sequence


def demand(database: Database, *, write: bool) -> None:
    """Raise a StoreError that names every right that the user of a server's database lacks to read, or to write."""
    if database.is_file:
        return
    with database.reading() as connection:
        lacking = _lacking(connection, write=write)
        user = connection.scalar(select(func.current_user()))
    if lacking:
        rights = "; ".join(f"{right} on {', '.join(names)}" for right, names in lacking.items())
        raise StoreError(
            f"{database.place} cannot be {'written' if write else 'read'} by {user}, who lacks {rights}: ask the owner "
            "for them (docs/database.md has the grants)"
        )


def _lacking(connection: Connection, *, write: bool) -> dict[str, list[str]]:
    """The names of the tables for which the user lacks a right, by the right."""
    found: dict[str, list[str]] = {}
    asked = {"rights": list(_WRITING if write else _READING), "ours": [table.name for table in metadata.sorted_tables]}
    for right, name in connection.execute(_LACKING, asked):
        found.setdefault(right, []).append(name)
    for table in _NUMBERED if write else ():
        if connection.scalar(_NUMBERING, {"of": table}) is False:  # None: there is no such table yet
            found.setdefault("USAGE", []).append(f"the sequence of {table}")
    return found


_LACKING = text(
    "select wanted, tablename from pg_tables cross join unnest(cast(:rights as text[])) as wanted "
    "where schemaname = current_schema() and tablename = any(:ours) "
    "and not has_table_privilege(format('%I.%I', schemaname, tablename), wanted) order by wanted, tablename"
)
_NUMBERING = text("select has_sequence_privilege(pg_get_serial_sequence(to_regclass(:of)::text, 'id'), 'USAGE')")
