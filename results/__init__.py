"""The database of measurements: records, schema, store.

import results

with results.open("out/bench.db") as store:
    errors = store.metrics(results.Where(solver=["dopri5", "tsit5"], name="error"))

Every error that it raises is a `StoreError`, whose text is one line for the user.
"""

import warnings
from pathlib import Path

from results.engine.location import MissingDatabaseError, StoreError
from results.metrics import METRICS
from results.read.where import Where
from results.store import Store

__all__ = ["METRICS", "MissingDatabaseError", "Store", "StoreError", "Where", "open"]


def open(  # noqa: A001  (as gzip.open)
    url: str | Path, *, write: bool = False, create: bool = False, as_it_is: bool = False
) -> Store:
    """Open a store as `Store.open` does, with warnings of spooled trials and of a copy that is read."""
    store = Store.open(url, write=write, create=create, as_it_is=as_it_is)
    for notice in store.notices:
        warnings.warn(notice, stacklevel=2)
    return store
