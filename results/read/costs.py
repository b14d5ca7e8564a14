"""The costs of trials: the seconds of each cell and kind, from which a future run can be estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from results.engine.database import Database
from results.read import frames
from results.records import EXPECTED
from results.schema.tables import cell, run, sample, trial

if TYPE_CHECKING:
    from pandas import DataFrame

_NEVER_STARTED = (*EXPECTED, "interrupted")


def costs(database: Database, fingerprint: str) -> DataFrame:
    """The costs of what was measured in an environment, with a row for each cell and kind.

    The cell's fields as in `Store.cells`. kind: str. trials: int64, the number of processes that were started.
    spent_s: float64, the seconds of all of them. rounds: int64, in which the first of them was timed.
    """
    spent = (
        select(
            trial.c.cell_key,
            trial.c.kind,
            func.count().label("trials"),
            func.sum(trial.c.duration_s).label("spent_s"),
            func.min(trial.c.id).label("first"),
        )
        .join(run)
        .where(run.c.fingerprint == fingerprint, trial.c.status.not_in(_NEVER_STARTED))
        .group_by(trial.c.cell_key, trial.c.kind)
        .subquery("spent")
    )
    last = select(func.max(sample.c.round_index)).where(sample.c.trial_id == spent.c.first).scalar_subquery()
    rounds = func.coalesce(last + 1, 0)
    query = select(cell, spent.c.kind, spent.c.trials, spent.c.spent_s, rounds.label("rounds")).join(
        spent, spent.c.cell_key == cell.c.key
    )
    return frames.read(database, query.order_by(cell.c.key, spent.c.kind))
