"""Rows that have the same key and different content in two databases that are merged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from results.read.where import among
from results.schema.rows import Row
from results.schema.tables import (
    annotation,
    baseline,
    cell,
    curve,
    environment,
    metric,
    noise_floor,
    planned,
    reference,
    run,
    sample,
    sweep,
    trial,
)
from results.schema.tables import source as source_table

# The natural keys, which are the same in every database.
KEYS: Mapping[str, tuple[str, ...]] = {
    sweep.name: ("sha",),
    environment.name: ("fingerprint",),
    cell.name: ("key",),
    reference.name: ("key",),
    source_table.name: ("key",),
    run.name: ("id",),
    planned.name: ("run_id", "study", "cell_key"),
    trial.name: ("run_id", "cell_key", "kind", "process_index"),
    noise_floor.name: ("run_id", "cell_key", "name"),
    annotation.name: ("id",),
}
MEASURED = (metric, sample, curve)
Measured = tuple[str, list[Any]]  # a table's name, and a row of it without the number of its trial

# Columns that may differ in the same row: its number, a run's state, the time when true values were computed.
_MAY_DIFFER = {
    sweep.name: {"id"},
    run.name: {"sweep_id", "state", "finished_at", "merged", "sequence"},
    trial.name: {"id"},
    reference.name: {"array", "provenance", "created_at"},
}
_TIME = {
    run.name: "started_at",
    trial.name: "started_at",
    reference.name: "created_at",
    annotation.name: "created_at",
    baseline.name: "created_at",
}
_CLOSE = 1e-9  # times the largest true value: two machines round differently


@dataclass(frozen=True)
class Conflict:
    """A row that both databases have, with different content."""

    table: Table
    ours: Row
    theirs: Row

    @property
    def theirs_is_newer(self) -> bool:
        """Whether their row was made later, by the clocks of the two machines."""
        name = _TIME.get(self.table.name)
        return name is not None and self.theirs[name] > self.ours[name]


def key_of(table: Table, row: Row) -> tuple[Any, ...]:
    """The natural key of a row, which is the same in every database."""
    return tuple(row[name] for name in KEYS[table.name])


def rows_of(table: Table) -> Select[Any]:
    """All rows of a table; a run's row with the hash of its sweep, whose row number is valid in this database only."""
    return select(run, sweep.c.sha).join(sweep) if table is run else select(table)


def known(connection: Connection, table: Table, part: Sequence[Row]) -> dict[tuple[Any, ...], Row]:
    """The rows of the database with the same keys as these rows, by key."""
    # These parts of a key select nearly the right rows: whole keys in a list take PostgreSQL a hundred times as long.
    names = [name for name in KEYS[table.name] if name not in ("study", "name", "kind", "process_index")]
    near = [among(table.c[name], tuple({row[name] for row in part})) for name in names]
    found = connection.execute(rows_of(table).where(*(one for one in near if one is not None)))
    asked = {key_of(table, row) for row in part}
    return {key: row for row in map(dict, found.mappings()) if (key := key_of(table, row)) in asked}


def alike(table: Table, ours: Row, theirs: Row) -> bool:
    """Whether two rows with the same key have the same content."""
    if table is reference and not _close(ours, theirs):
        return False
    return all(ours[name] == theirs[name] for name in ours if name not in _MAY_DIFFER.get(table.name, ()))


def _close(ours: Row, theirs: Row) -> bool:
    import numpy

    one, other = (numpy.frombuffer(row["array"], "<f8") for row in (ours, theirs))
    if one.shape != other.shape:
        return False
    return bool(numpy.abs(one - other).max(initial=0) <= _CLOSE * numpy.abs(one).max(initial=0))


def measured(connection: Connection, trial_ids: Iterable[int]) -> dict[int, list[Measured]]:
    """All measurements of the trials, by the trial's row number, in a fixed order."""
    found: dict[int, list[Measured]] = {number: [] for number in trial_ids}
    for table in MEASURED:
        query = select(table).where(table.c.trial_id.in_(found)).order_by(*table.primary_key)
        for number, *content in connection.execute(query):  # the number of the trial comes first
            found[number].append((table.name, content))
    return found
