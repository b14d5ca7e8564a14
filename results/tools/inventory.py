"""The contents of a database, for people who see it for the first time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select, text

from results.schema import versions as schema
from results.schema.tables import baseline, environment, metadata, nodebench, run, trial
from results.store import Store
from results.tools.runs import RunLine, listed
from results.write.spool import Spool


@dataclass(frozen=True)
class Inventory:
    """The counts of what a database holds."""

    place: str
    engine: str  # with its release
    version: int  # of the schema
    size_bytes: int
    free_bytes: int  # of the size: pages of a file that pruning has emptied; 0 for a server
    rows: Mapping[str, int]  # by table
    runs: Mapping[str, int]  # by state
    trials: Mapping[str, int]  # by status
    environments: Mapping[str, Mapping[str, str]]  # facts by fingerprint
    baselines: tuple[str, ...]
    newest_runs: Sequence[RunLine]  # the newest first
    oldest_trial: float | None  # start, seconds since the epoch
    newest_trial: float | None
    spooled: int  # trials that are not in the database yet


def inventory(store: Store, *, newest: int = 5) -> Inventory:
    """Count what the database holds, and list the `newest` runs that are newest."""
    database = store.database
    with database.reading() as connection:
        oldest, latest = connection.execute(select(func.min(trial.c.started_at), func.max(trial.c.started_at))).one()
        size, free = _file_size(connection) if database.is_file else (_server_size(connection), 0)
        return Inventory(
            place=database.place,
            engine=_engine(connection),
            version=int(schema.version(connection) or 0),
            size_bytes=size,
            free_bytes=free,
            rows={table.name: _count(connection, table) for table in metadata.sorted_tables if table is not nodebench},
            runs=_census(connection, run.c.state),
            trials=_census(connection, trial.c.status),
            environments=dict(connection.execute(select(environment.c.fingerprint, environment.c.facts)).all()),
            baselines=tuple(connection.scalars(select(baseline.c.name).order_by(baseline.c.created_at))),
            newest_runs=listed(store, newest=newest),
            oldest_trial=oldest,
            newest_trial=latest,
            spooled=len(Spool.of(database).waiting()),
        )


def _engine(connection: Connection) -> str:
    release = ".".join(map(str, connection.dialect.server_version_info or ()))
    return f"{'SQLite' if connection.dialect.name == 'sqlite' else 'PostgreSQL'} {release}"


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _census(connection: Connection, column: Column[Any]) -> dict[str, int]:
    count = func.count()
    counted = select(column, count).group_by(column).order_by(count.desc(), column)
    return dict(connection.execute(counted).all())


def _file_size(connection: Connection) -> tuple[int, int]:
    pages, free, size = (
        connection.scalar(text(f"pragma {name}")) for name in ("page_count", "freelist_count", "page_size")
    )
    return pages * size, free * size


def _server_size(connection: Connection) -> int:
    return connection.scalar(select(func.pg_database_size(func.current_database()))) or 0
