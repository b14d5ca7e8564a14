"""Baselines: trials that are saved under a name, to compare later ones with. Pruning leaves them alone."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, func, insert, literal, select

from results.engine.location import StoreError
from results.read import frames, lookup
from results.read.where import Where
from results.schema.tables import baseline, baseline_trial, run, sweep, trial
from results.store import Store
from results.tools.pytest_benchmark import SWEEP
from results.write import recording

if TYPE_CHECKING:
    from pandas import DataFrame


def keep(
    store: Store,
    name: str,
    *,
    note: str = "",
    run_start: str | None = None,
    replace: bool = False,
    prefer: Collection[str] = (),
) -> int:
    """Save the newest trials of the newest run's environment, or the given run's; their number.

    `run_start`: the start of the run's id. `prefer`: keys of the code whose trials are preferred.
    """
    if not name.strip():
        raise StoreError("the baseline's name is empty: pass another one")
    with store.database.writing() as connection:
        if replace:
            _forget(connection, name)
        elif _is_there(connection, name):
            raise StoreError(f"there is a baseline {name!r} already: pass --replace to give its name to these trials")
        recording.insert_new(connection, baseline, [{"name": name, "note": note, "created_at": time.time()}])
        newest = frames.chosen_trials(_scope(connection, run_start, prefer))
        members = select(literal(name), trial.c.id).where(trial.c.id.in_(newest), trial.c.status != "interrupted")
        connection.execute(insert(baseline_trial).from_select(["name", "trial_id"], members))
        kept = connection.scalar(select(func.count()).where(baseline_trial.c.name == name)) or 0
        if not kept:
            raise StoreError(f"no trial to keep as {name!r}: run `nodebench run` first or pass another --run")
    return kept


def remove(store: Store, name: str) -> None:
    """Remove a baseline; its trials stay until they are pruned."""
    with store.database.writing() as connection:
        if not _forget(connection, name):
            known = ", ".join(connection.scalars(select(baseline.c.name).order_by(baseline.c.name))) or "none"
            raise StoreError(f"no baseline {name!r}. Known: {known}")


def listed(store: Store) -> DataFrame:
    """The baselines, oldest first: name, note, created_at, and the numbers of trials, cells and runs."""
    query = (
        select(
            *baseline.c,
            func.count(trial.c.id).label("trials"),
            func.count(trial.c.cell_key.distinct()).label("cells"),
            func.count(trial.c.run_id.distinct()).label("runs"),
        )
        .outerjoin_from(baseline, baseline_trial)
        .outerjoin(trial)
        .group_by(*baseline.c)
        .order_by(baseline.c.created_at, baseline.c.name)
    )
    return frames.read(store.database, query)


def trials(store: Store, name: str) -> DataFrame:
    """A baseline's trials, as in `Store.trials`."""
    return store.trials(Where(baseline=name), newest=False)


def metrics(store: Store, name: str) -> DataFrame:
    """A baseline's metrics, as in `Store.metrics`."""
    return store.metrics(Where(baseline=name), newest=False)


def samples(store: Store, name: str) -> DataFrame:
    """A baseline's samples, as in `Store.samples`."""
    return store.samples(Where(baseline=name), newest=False)


def curves(store: Store, name: str) -> DataFrame:
    """A baseline's curves, as in `Store.curves`."""
    return store.curves(Where(baseline=name), newest=False)


def _scope(connection: Connection, run_start: str | None, prefer: Collection[str]) -> Where:
    if run_start is not None:
        return Where(run_id=lookup.run_id(connection, run_start))
    newest = select(run.c.fingerprint).join(sweep).where(sweep.c.name != SWEEP)
    here = connection.scalar(newest.order_by(*lookup.OWN_RUN_FIRST).limit(1)) or ""
    return Where(fingerprint=here, prefer=prefer)


def _is_there(connection: Connection, name: str) -> bool:
    return connection.scalar(select(baseline.c.name).where(baseline.c.name == name)) is not None


def _forget(connection: Connection, name: str) -> bool:
    connection.execute(delete(baseline_trial).where(baseline_trial.c.name == name))
    return bool(connection.execute(delete(baseline).where(baseline.c.name == name)).rowcount)
