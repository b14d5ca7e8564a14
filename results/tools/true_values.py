"""True values of problems: computed once, kept with their provenance, reused by every run that needs the same."""

import time
from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import select

from results.records import TrueValues
from results.schema.rows import Row
from results.schema.tables import reference
from results.store import Store
from results.write.recording import insert_missing


def kept(store: Store, problem: str) -> list[TrueValues]:
    """The true values of a problem, in the order of their keys."""
    query = select(reference).where(reference.c.problem == problem).order_by(reference.c.key)
    with store.database.reading() as connection:
        return [_true_values(dict(row)) for row in connection.execute(query).mappings()]


def keep(store: Store, computed: Iterable[TrueValues]) -> int:
    """Add the true values with new keys, all or none; their number. Those with known keys stay as they are."""
    now = time.time()
    new = [{"key": one.key, **asdict(one), "shape": list(one.shape), "created_at": now} for one in computed]
    with store.database.writing() as connection:
        return insert_missing(connection, reference, new)


def _true_values(row: Row) -> TrueValues:
    return TrueValues(
        problem=row["problem"],
        name=row["name"],
        asked=row["asked"],
        provenance=row["provenance"],
        shape=tuple(row["shape"]),
        array=bytes(row["array"]),
    )
