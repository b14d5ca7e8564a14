"""The history of metrics: the values of a cell run by run in one environment, and the changes among them.

A run's value of a time is the median ratio of its samples to those of the same rounds of another cell, the control of
its block: the machine's load of a moment is common to both and cancels. The control is one cell in the whole series, so
a run that timed the cell in no round of it is left out. Where there is no control, as for the control itself, the
values are seconds, whose changes are less sure: they may be the machine's. A run that continued an interrupted one is
one with it, as in the table `summary`. All runs count, also those whose numbers are no longer current.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Table, literal, select

from results.engine.database import Database
from results.metrics import METRICS, Metric
from results.read import frames
from results.read.where import Where, among
from results.records import Cell
from results.schema.members import Members, members
from results.schema.rows import cell_of
from results.schema.tables import cell, metric, run, sample, source, trial
from results.statistics.change_points import Change, change_points, steps
from results.statistics.ratio import median

BY_DEFAULT = tuple(name for name, each in METRICS.items() if each.exact or each.less_is_better is not None)
_TOGETHER = 200  # cells that are read at a time; no block is parted
_NO_ROUND = -1  # in place of the round of a number that a process measures once


@dataclass(frozen=True)
class Point:
    """The value of a cell after a run."""

    run_id: str
    started_at: float  # of the run, seconds since the epoch
    revision: str  # git's, of the code that measured; empty if not known
    dirty: bool  # whether the code differed from that revision
    code: Mapping[str, str]  # facts of the source that was measured; none if not known
    value: float


@dataclass(frozen=True)
class Series:
    """The values of a metric of a cell in one environment, in the order of recording."""

    fingerprint: str
    cell: Cell
    metric: Metric
    points: tuple[Point, ...]
    control: Cell | None = None  # by whose time the values are divided; None: they have the metric's unit
    left_out: int = 0  # runs that timed the cell in no round of the control

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The steps of an exact metric, the change points of another one."""
        values = [point.value for point in self.points]
        return steps(values) if self.metric.exact else change_points(values)

    @property
    def less_sure(self) -> bool:
        """Whether the values are seconds, which the machine's load may have changed."""
        return self.metric.unit == "s" and self.control is None

    def code_changes(self, change: Change) -> tuple[str, ...]:
        """The names of the facts about the measured code that differ between the two runs of a change."""
        before, after = (self.points[index].code for index in (change.index - 1, change.index))
        return tuple(name for name in {**before, **after} if before.get(name) != after.get(name))


def history(database: Database, where: Where, names: Sequence[str] = BY_DEFAULT) -> Iterator[Series]:
    """The series of these metrics of the cells that meet the condition, block by block; none is empty."""
    with database.reading() as connection:
        cells = [cell_of(row._asdict()) for row in connection.execute(frames.cells(where))]
        runs = {row.id: row for row in connection.execute(select(run))}
        controls = _controls(connection)
        for part in _parts(cells):
            yield from _of_cells(connection, part, names, runs, controls)


def _parts(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    """The cells in parts of at least `_TOGETHER`, each of whole blocks; the last part may be smaller."""
    part: list[Cell] = []
    for _, block in groupby(sorted(cells, key=lambda one: repr(one.block)), key=attrgetter("block")):
        part += block
        if len(part) >= _TOGETHER:
            yield part
            part = []
    if part:
        yield part


def _controls(connection: Connection) -> dict[tuple[str, Any], list[Cell]]:
    """The cells that ever were controls, by environment and block; the newest first."""
    twins = (
        select(run.c.fingerprint.label("fingerprint"), cell)
        .join_from(trial, run)
        .join(cell)
        .where(trial.c.kind == "twin")
        .order_by(trial.c.id.desc())
    )
    found: defaultdict[tuple[str, Any], dict[Cell, None]] = defaultdict(dict)
    for row in connection.execute(twins):
        named = row._asdict()
        one = cell_of({name: value for name, value in named.items() if name != "fingerprint"})
        found[named["fingerprint"], one.block][one] = None
    return {place: list(cells) for place, cells in found.items()}


@dataclass(frozen=True)
class _Measured:
    """What the trials of some cells and their controls have measured."""

    runs: Mapping[int, tuple[str, int]]  # the trial's run and process, by the trial's row number
    timings: Mapping[tuple[str, str, int], int]  # row numbers of timings, by cell, run and process
    sources: Mapping[int, Mapping[str, str]]  # facts of the code, by the trial's row number
    values: Mapping[int, Mapping[str, Mapping[int, float]]]  # by row number, name and round

    def plain(self, trials: Iterable[int], name: str) -> float:
        """The median of all numbers of this name; NaN without one."""
        return median([value for id_ in trials for value in self._named(id_, name).values()])

    def ratio(self, trials: Iterable[int], name: str, control: Cell) -> float:
        """The median ratio to the control's numbers of the same rounds; NaN without a common round."""
        ratios = []
        for id_ in trials:
            beside = self.timings.get((control.key, *self.runs[id_]))
            under = {} if beside is None else self._named(beside, name) or self._named(beside, "forward_s")
            over = self._named(id_, name)
            ratios += [over[index] / under[index] for index in over.keys() & under.keys() if under[index] > 0]
        return median(ratios)

    def _named(self, id_: int, name: str) -> Mapping[int, float]:
        return self.values.get(id_, {}).get(name, {})


def _of_cells(
    connection: Connection,
    cells: Sequence[Cell],
    names: Sequence[str],
    runs: Mapping[str, Any],
    controls: Mapping[tuple[str, Any], Sequence[Cell]],
) -> Iterator[Series]:
    """The series of some cells, which are whole blocks."""
    blocks = {one.block for one in cells}
    beside = {one for (_, block), group in controls.items() if block in blocks for one in group}
    known = _measured(connection, tuple({one.key for one in (*cells, *beside)}), names)
    by_key = {one.key: one for one in cells}
    for rows in members(connection, _of(tuple(by_key))):
        fingerprint, key = rows[0].place
        for name in names:
            one = by_key[key]
            others = [each for each in controls.get((fingerprint, one.block), ()) if each != one]
            if series := _series(one, fingerprint, METRICS[name], rows, known, others, runs):
                yield series


def _of(keys: tuple[str, ...]) -> Any:
    return among(trial.c.cell_key, keys)


def _series(
    one: Cell,
    fingerprint: str,
    of: Metric,
    rows: Sequence[Members],
    known: _Measured,
    controls: Sequence[Cell],
    runs: Mapping[str, Any],
) -> Series | None:
    """The series of a metric of a cell; None without a value. Of several controls the one that most runs share."""
    measured = [(row, _trials(row, of)) for row in rows if of.kind is None or of.kind in row.measured]
    candidates = [
        (control, [known.ratio(trials, of.name, control) for _, trials in measured])
        for control in (controls if of.unit == "s" and of.kind == "timing" else ())
    ]
    plain = [known.plain(trials, of.name) for _, trials in measured]
    control, values = max(candidates, key=lambda pair: _count(pair[1], of), default=(None, plain))
    if _count(values, of) < min(2, _count(plain, of)):
        control, values = None, plain
    points = tuple(
        _point(runs[row.run_id], known.sources.get(max(trials), {}), value)
        for (row, trials), value in zip(measured, values, strict=True)
        if _kept(value, of)
    )
    left_out = _count(plain, of) - len(points)
    return Series(fingerprint, one, of, points, control, left_out) if points else None


def _trials(row: Members, of: Metric) -> list[int]:
    return [id_ for (kind, _), id_ in row.trials.items() if of.kind in (None, kind)]


def _kept(value: float, of: Metric) -> bool:
    """Whether a series has the value: a number, and finite where it varies; an exact one may become infinite."""
    return not math.isnan(value) and (of.exact or math.isfinite(value))


def _count(values: Iterable[float], of: Metric) -> int:
    return sum(_kept(value, of) for value in values)


def _point(of_run: Any, code: Mapping[str, str], value: float) -> Point:
    return Point(of_run.id, of_run.started_at, of_run.git_revision, of_run.git_dirty, code, value)


def _measured(connection: Connection, keys: tuple[str, ...], names: Collection[str]) -> _Measured:
    """What all trials of the cells have measured under these names, and forward solves, by which others are divided."""
    columns = (trial.c.id, trial.c.cell_key, trial.c.run_id, trial.c.kind, trial.c.process_index, trial.c.source)
    trials = connection.execute(select(*columns).where(_of(keys))).all()
    facts = dict(connection.execute(select(source.c.key, source.c.facts)).all())
    values: defaultdict[int, defaultdict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for table in (metric, sample):
        for id_, name, index, value in connection.execute(_numbers(table, keys, {*names, "forward_s"})):
            values[id_][name][index] = value
    return _Measured(
        {row.id: (row.run_id, row.process_index) for row in trials},
        {(row.cell_key, row.run_id, row.process_index): row.id for row in trials if row.kind == "timing"},
        {row.id: facts.get(row.source, {}) for row in trials},
        values,
    )


def _numbers(table: Table, keys: tuple[str, ...], names: Collection[str]) -> Any:
    """The query for the numbers of a table: the trial's row number, the name, the round and the value."""
    index = table.c.round_index if "round_index" in table.c else literal(_NO_ROUND)
    of_cells = select(trial.c.id).where(_of(keys), trial.c.kind != "twin")
    columns = (table.c.trial_id, table.c.name, index, table.c.value)
    return select(*columns).where(table.c.trial_id.in_(of_cells), table.c.name.in_(names), table.c.value.is_not(None))
