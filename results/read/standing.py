"""The trials of some cells that are valid in an environment: the newest series of each kind, of given code.

They are what `results.read.frames.chosen_trials` chooses, without interrupted trials. They are chosen here in Python,
as a sweep of 100,000 cells asks for them before it begins: window functions in SQL take twice the time.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from results.read.where import among
from results.records import TrialKind
from results.schema.tables import metric, run, trial

_TIMING_ENDS = ("unstable", "cut_ratio")  # of results.METRICS


class StandingTrial(NamedTuple):
    """A trial of the newest series of its cell and kind."""

    cell_key: str
    kind: TrialKind
    process_index: int
    status: str
    source: str | None  # key of the code that was measured; None: not known
    series: str
    run_id: str
    unstable: float | None = None  # the metric of this name, which the last timing of a cell has
    cut_ratio: float | None = None


@dataclass(frozen=True)
class Standing:
    """The valid trials, and how much their runs had asked for."""

    trials: Sequence[StandingTrial] = ()
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by run: how much it asked for
    last_process: int | None = None  # largest index of a timing process of any of the cells, in any series
    outdated: Collection[str] = frozenset()  # keys of cells of which a kind was measured of other code only


def standing(
    connection: Connection, fingerprint: str, cell_keys: Collection[str], sources: Collection[str]
) -> Standing:
    """The valid trials of the cells in the environment, over all runs, of code with these keys."""
    of_runs = select(run.c.id, run.c.sequence, run.c.measure).where(run.c.fingerprint == fingerprint)
    runs = {id_: (sequence, measure) for id_, sequence, measure in connection.execute(of_runs)}
    sequences = {id_: sequence for id_, (sequence, _) in runs.items()}
    rows = [row for row in connection.execute(_recorded(cell_keys)).all() if row[6] in sequences]
    timing_ends = _timing_ends(connection, cell_keys)
    timed = (row[2] for row in rows if row[1] in ("timing", "twin"))
    of_code = [row for row in rows if row[4] in sources]
    return Standing(
        [_trial(row, timing_ends) for row in _newest(of_code, sequences)],
        {id_: measure for id_, (_, measure) in runs.items()},
        max(timed, default=None),
        _outdated(rows, of_code) if len(of_code) < len(rows) else frozenset(),
    )


def _outdated(rows: Iterable[Any], of_code: Iterable[Any]) -> frozenset[str]:
    """The cells with a kind that was measured of other code only; a twin is no measurement of its cell."""
    now = {(row[0], row[1]) for row in of_code}
    told = (row for row in rows if row[1] != "twin" and row[4] is not None)
    return frozenset(row[0] for row in told if (row[0], row[1]) not in now)


def _recorded(cell_keys: Collection[str]) -> Any:
    """The query for all trials of the cells in any environment: a StandingTrial's fields, and the row number."""
    columns = ("cell_key", "kind", "process_index", "status", "source", "series", "run_id", "id")
    measured = select(*(trial.c[name] for name in columns)).where(_of_cells(cell_keys))
    return measured.where(trial.c.status != "interrupted").order_by(trial.c.cell_key, trial.c.kind)


def _of_cells(cell_keys: Collection[str]) -> Any:
    return among(trial.c.cell_key, tuple(cell_keys))


def _timing_ends(connection: Connection, cell_keys: Collection[str]) -> dict[str, dict[int, float]]:
    """The metrics that say how timings ended: by name, then by the trial's row number."""
    query = select(metric.c.trial_id, metric.c.name, metric.c.value)
    chosen = metric.c.trial_id.in_(select(trial.c.id).where(_of_cells(cell_keys), trial.c.kind == "timing"))
    timing_ends: dict[str, dict[int, float]] = {name: {} for name in _TIMING_ENDS}
    for id_, name, value in connection.execute(query.where(metric.c.name.in_(_TIMING_ENDS), chosen)).all():
        timing_ends[name][id_] = value
    return timing_ends


def _newest(rows: Iterable[Any], sequences: Mapping[str, int]) -> Iterator[Any]:
    """The newest trial of each process, in the newest series of each cell and kind."""

    def recorded(row: Any) -> tuple[int, int]:
        return sequences[row[6]], row[7]

    for _, group in groupby(rows, key=itemgetter(0, 1)):
        of_kind = list(group)
        if len(of_kind) > 1:
            of_kind.sort(key=recorded)
            of_kind = list({row[2]: row for row in of_kind if row[5] == of_kind[-1][5]}.values())
        yield from of_kind


def _trial(row: Any, timing_ends: Mapping[str, Mapping[int, float]]) -> StandingTrial:
    key, kind, process_index, status, source, series, run_id, id_ = row
    if kind != "timing":
        return StandingTrial(key, kind, process_index, status, source, series, run_id)
    unstable, cut_ratio = timing_ends["unstable"].get(id_), timing_ends["cut_ratio"].get(id_)
    return StandingTrial(key, kind, process_index, status, source, series, run_id, unstable, cut_ratio)
