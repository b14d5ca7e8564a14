"""The database of measurements: records, schema, store.

import results

with results.open("out/bench.db") as store:
    errors = store.metrics(results.Where(solver=["dopri5", "tsit5"], name="error"))

Every error that it raises is a `StoreError`, whose text is one line for the user.
"""

from results.location import MissingDatabaseError, StoreError
from results.store import Store
from results.where import Where

__all__ = ["MissingDatabaseError", "Store", "StoreError", "Where", "open"]

open = Store.open  # noqa: A001  (results.open, as gzip.open)
