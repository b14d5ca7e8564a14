"""The store: a run writes its trials into it, and readers get frames from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from results.engine.database import Database
from results.engine.location import AskedError, MissingRowError, StoreError, UnwritableError
from results.names import LISTED
from results.opening import copies
from results.opening import ready as opening
from results.read import frames
from results.read.standing import Standing, standing
from results.read.where import Where, begins
from results.records import Cell, NoiseFloor, Planned, Run, RunState, Source, Trial
from results.schema import rows, versions
from results.schema.tables import cell, curve, environment, metric, run, sample, trial
from results.write import recording
from results.write.leases import Leases
from results.write.spool import Begun, Spool, Spooled
from results.write.taking_in import TakenIn, notices_of_waiting, take_in

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

__all__ = ["Store", "StoreError"]

EVERYTHING = Where()


class Store:
    """The database of measurements. A context manager, which closes its connections."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.spooled = Spooled()
        self._begun: dict[str, Begun] = {}
        self._spool = Spool.of(database)
        self._taken = TakenIn()  # spooled trials that were written since the opening

    @classmethod
    def open(cls, url: str | Path, *, write: bool = False, create: bool = False, as_it_is: bool = False) -> Store:
        """Open a database by SQLAlchemy URL, or an SQLite file by its path; without a flag, for reading only.

        `write`: for writing too. A file of an older version is upgraded, after a backup; without `write`, an upgraded
        temporary copy of it is read. A server's database is upgraded only by `nodebench db upgrade`. `create`: for
        writing, and made if it does not exist. `as_it_is`: for reading its present content, also while others write,
        without any change to the database or to the files beside it.
        """
        database = Database(str(url), create=create)
        database.limits_answer_time = not as_it_is  # a copy may take long
        try:
            if as_it_is:
                copies.open_unchanged(database)
            else:
                opening.make_ready(database, write=write or create, create=create)
            store = cls(database)
            database.notices += (
                take_in(database, store._spool).notices(database.place) if create else notices_of_waiting(store._spool)
            )
        except BaseException:
            database.close()
            raise
        database.notices += store._spool.notices_of_others()
        database.limits_answer_time = False
        return store

    @property
    def notices(self) -> tuple[str, ...]:
        """The notices that tell the user what was done, in the order of time."""
        return (*self.database.notices, *self._taken.notices(self.database.place))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def begin(self, started: Run, plan: Sequence[Planned], sources: Iterable[Source] = ()) -> None:
        """Write a run with its plan, its environment and its code. It is `running` until `finish`."""
        begun = Begun(started, plan, tuple(sources))
        with self.database.writing() as connection:
            recording.begin(connection, begun.run, begun.plan, begun.sources)
        self._begun[started.id] = begun
        self.database.limits_answer_time = True

    def lease(self, started: Run, *, longest_s: float) -> Leases:
        """The leases of a run, at first none; `longest_s`: the longest time between two renewals, seconds."""
        return Leases(self.database, started, longest_s=longest_s)

    def record(self, run_id: str, measured: Trial) -> None:
        """Write a trial with all that it measured, or nothing of it.

        If the database cannot be used now, the trial is spooled, and written after the next success.
        """
        try:
            self._record(run_id, measured)
        except UnwritableError as error:
            self._spool_trial(run_id, measured, error)
        else:
            if self.spooled.files:
                self._take_in()

    def _record(self, run_id: str, measured: Trial) -> None:
        try:
            with self._writing_of(run_id) as connection:
                recording.record(connection, run_id, measured)
        except MissingRowError:  # its cell or source was pruned
            if (begun := self._begun.get(run_id)) is None:
                raise
            with self._writing_of(run_id) as connection:
                recording.ensure(connection, begun.plan, begun.sources)
                recording.record(connection, run_id, measured)

    @contextmanager
    def _writing_of(self, run_id: str) -> Iterator[Connection]:
        """A transaction that writes to a run; an UnwritableError if this store began the run and it is gone."""
        with self.database.writing() as connection:
            if run_id in self._begun:
                self._check_run(connection, run_id)
            yield connection

    def _check_run(self, connection: Connection, run_id: str) -> None:
        place = self.database.place
        if connection.scalar(select(run.c.id).where(run.c.id == run_id)) is None:
            raise UnwritableError(f"{place} has lost run {run_id[:8]}: it was overwritten while it was written")
        if not versions.summary_is_ours(connection):
            raise UnwritableError(f"{place} was opened meanwhile by a nodebench with other metrics: use one at a time")

    def _spool_trial(self, run_id: str, measured: Trial, refused: UnwritableError) -> None:
        try:
            path = self._spool.put(run_id, measured, self._begun.get(run_id))
        except OSError as error:
            raise UnwritableError(f"{refused}. Nor could the trial be spooled ({error}): it is lost") from refused
        self.spooled = Spooled((*self.spooled.files, path), str(refused))
        self.database.be_patient(False)

    def _take_in(self) -> None:
        self._taken = self._taken.then(take_in(self.database, self._spool))
        self.spooled = Spooled(tuple(path for path in self.spooled.files if path.exists()), self.spooled.reason)
        if not self.spooled.files:
            self.database.be_patient(True)

    def finish(self, run_id: str, *, state: RunState) -> None:
        """Close a run as `complete` or `interrupted`; an end that cannot be written now is spooled."""
        if state not in ("complete", "interrupted"):
            raise AskedError(f"unknown state {state!r}: a run ends as 'complete' or 'interrupted'")
        try:
            with self._writing_of(run_id) as connection:
                recording.finish(connection, run_id, state)
        except UnwritableError:
            if not self.database.only_read:
                with suppress(OSError):  # then the run stays written as running, until somebody closes it
                    self._spool.end(run_id, state)
            raise
        finally:
            self.database.limits_answer_time = False

    def standing(self, fingerprint: str, cell_keys: Collection[str], sources: Collection[str]) -> Standing:
        """The valid trials of the cells in the environment, over all runs, and how much each run had asked for.

        `sources`: keys of the code whose trials are valid. An interrupted trial is left out: it must be measured again.
        """
        with self.database.reading() as connection:
            return standing(connection, fingerprint, cell_keys, sources)

    def measured_before(self, facts: Mapping[str, str], cell_keys: Collection[str]) -> int:
        """The number of cells that an older nodebench, which recorded no code, measured where these facts hold."""
        with self.database.reading() as connection:
            others = dict(connection.execute(select(environment.c.fingerprint, environment.c.facts)).all())
            alike = [name for name, known in others.items() if facts.items() <= known.items()]
            if not alike:
                return 0
            where = Where(fingerprint=alike, cell_key=cell_keys, source="")
            measured = select(func.count(trial.c.cell_key.distinct())).join(run)
            ended = trial.c.status != "interrupted"
            return connection.scalar(measured.where(ended, *where.on_runs(), *where.on_trials())) or 0

    def cells_by_code(self) -> list[Cell]:
        """A cell for each combination of library, problem, training and evaluation: each has its own code."""
        by = (cell.c.backend, cell.c.problem, cell.c.iterations > 0, cell.c.evaluate)
        one_of_each = select(func.min(cell.c.key)).group_by(*by)
        with self.database.reading() as connection:
            found = connection.execute(select(cell).where(cell.c.key.in_(one_of_each)))
            return [rows.cell_of(row._asdict()) for row in found]

    def fingerprints(self) -> list[str]:
        """The fingerprints of the environments."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(environment.c.fingerprint)))

    def sources(self, fingerprint: str) -> dict[str, dict[str, str]]:
        """The facts of all code that was measured in the environment, by the source's key; the newest last."""
        with self.database.reading() as connection:
            return dict(connection.execute(frames.sources(fingerprint)).all())

    def record_floors(self, run_id: str, floors: Sequence[NoiseFloor]) -> None:
        """Write the noise floors that the twins of a block have shown."""
        with self._writing_of(run_id) as connection:
            recording.record_floors(connection, run_id, floors)

    def cell(self, key: str) -> Cell | None:
        """The cell whose key is the text or begins with it; None if there is none."""
        query = select(cell).where(begins(key)).order_by(cell.c.key)
        with self.database.reading() as connection:
            found = [rows.cell_of(row._asdict()) for row in connection.execute(query)]
        if len(found) > 1:
            raise StoreError(f"{len(found)} cells begin with {key!r}: add digits. {_listed(found)}")
        return found[0] if found else None

    def runs(self) -> DataFrame:
        """Every run, in the order of recording.

        run_id, sweep_name, sweep_text, sweep_sha, fingerprint, state, git_revision: str. facts, volatile, measure,
        goals: dict. started_at, finished_at (NaN while it runs, or when it was killed): float64, seconds since the
        epoch. git_dirty, merged (from another database): bool. sequence: int64, the order of recording, which no clock
        decides.
        """
        return frames.read(self.database, frames.runs())

    def cells(self, where: Where = EVERYTHING) -> DataFrame:
        """The cells in the order of their keys; with a condition on runs, the cells that these runs planned.

        key and the fields of `results.records.Cell`: str, int64, float64 (rtol, atol, dt and learning_rate are NaN
        where the cell has none).
        """
        return frames.read(self.database, frames.cells(where))

    def planned(self, where: Where = EVERYTHING) -> DataFrame:
        """The cells that the runs set out to measure, in the order of the sweep.

        study, run_id, cell_key: str, and the cell's fields as in `cells`.
        """
        return frames.read(self.database, frames.plans(where))

    def summary(self, where: Where = EVERYTHING) -> DataFrame:
        """The numbers of a cell after a run, in one wide row for the run and those that it continued.

        run_id (the last run that measured some of it), cell_key, fingerprint, sweep, status, reason: str. The cell's
        fields as in `cells`. trials: int64. measured_at: float64, seconds since the epoch. A column for each of
        `results.METRICS`: float64, the median over the row's trials; NaN if not measured.
        """
        return frames.read(self.database, frames.summaries(where))

    def trials(self, where: Where = EVERYTHING, *, newest: bool = True) -> DataFrame:
        """The trials of the newest series of each (environment, cell, kind), as recorded; or all trials.

        run_id, cell_key, kind, status, reason, log_tail, series, fingerprint: str. source: str, or None where it is
        not known. process_index: int64. position: Int64. started_at (since the epoch), duration_s: float64, seconds.
        """
        return frames.read(self.database, frames.trials(where, newest=newest))

    def metrics(self, where: Where = EVERYTHING, *, newest: bool = True) -> DataFrame:
        """The metrics of the trials that `trials` gives, with a row for each number.

        fingerprint, run_id, cell_key, kind: str, process_index: int64, of the trial. name: str, of
        `results.METRICS`. value: float64; NaN is not-a-number.
        """
        return frames.read(self.database, frames.measured(metric, where, newest=newest))

    def samples(self, where: Where = EVERYTHING, *, newest: bool = True) -> DataFrame:
        """The samples of these trials, with a row for each: the columns of `metrics`, and the sample's round.

        round_index, position (in the round), repeats (calls that the value is the mean of): int64.
        """
        return frames.read(self.database, frames.measured(sample, where, newest=newest))

    def samples_in_parts(
        self, where: Where = EVERYTHING, *, newest: bool = True, rows: int = 100_000
    ) -> Iterator[DataFrame]:
        """The samples as in `samples`, in frames of at most `rows` rows, so that not all must fit the memory."""
        query = frames.measured(sample, where, newest=newest)
        with self.database.reading() as connection:
            yield from frames.chunks(connection, query, rows)

    def curves(self, where: Where = EVERYTHING, *, newest: bool = True) -> DataFrame:
        """The curves of these trials, with a row for each: the columns of `metrics`, except the value.

        x, y: arrays of float64, of shape (n,) and (n, d).
        """
        return frames.unpack(frames.read(self.database, frames.measured(curve, where, newest=newest)))

    def noise_floors(self, where: Where = EVERYTHING) -> DataFrame:
        """The ratios of two timings of the same cell, with a row for each metric and run.

        run_id, cell_key, name: str. ratio (median of the paired ratios), low, high (its 95 % interval): float64.
        pairs: int64.
        """
        return frames.read(self.database, frames.noise_floors(where))


def _listed(cells: Sequence[Cell]) -> str:
    named = "; ".join(f"{one.key}: {one.label}" for one in cells[:LISTED])
    return named if len(cells) <= LISTED else f"{named}; and {len(cells) - LISTED} more"
