"""The merge of the rows that another database has and this one lacks, by natural keys: a second merge changes nothing.

The whole other database is checked before. All is inserted in one transaction: a merge that fails, or is killed,
changes nothing. A process that records into the file waits meanwhile, and spools its trials if that takes too long.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, text, update

from results.engine.database import Database
from results.engine.location import StoreError, file_of
from results.schema import summary
from results.schema.rows import Row
from results.schema.rules import named
from results.schema.tables import (
    annotation,
    baseline,
    baseline_trial,
    cell,
    environment,
    noise_floor,
    planned,
    reference,
    run,
    sweep,
    trial,
)
from results.schema.tables import source as source_table
from results.store import Store
from results.tools.chunks import chunks
from results.tools.conflicts import KEYS, MEASURED, Conflict, Measured, alike, key_of, known, measured, rows_of
from results.tools.verified import verify
from results.write.recording import insert_missing, insertion_of_missing

_CHUNK = 500  # trials, or rows of another table, in memory
_OURS = ("id", "sha", "sequence", "merged")  # columns that are valid within their own database only
_SHOWN = 3  # conflicts that a refusal names

OnConflict = Literal["refuse", "keep", "newer"]


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge."""

    rows: Mapping[str, int]  # inserted, by table; tables without any are left out
    ended: int  # runs known as running here that have ended there
    kept: Sequence[str]  # rows and baselines that differ there: ours were kept
    replaced: Sequence[str]  # rows and baselines that theirs, which are newer, replaced


def merge(store: Store, other: Store, *, on_conflict: OnConflict = "refuse") -> Merged:
    """Insert everything of `other` that `store` lacks, except leases, which concern runs that write to `other`.

    `on_conflict`: what to do about a row with the same key and other content. `refuse`: raise a StoreError and write
    nothing. `keep`: keep ours. `newer`: take the row that was made later, by the clocks of the two machines.
    """
    with other.database.reading() as source:
        _refuse_itself(store.database, other.database)
        verify(source, other.database.place)
        with store.database.writing() as connection:
            merging = _Merging(source, connection, on_conflict)
            merging.take_all()
            if on_conflict == "refuse" and merging.kept:
                raise _refusal(store.database, other.database, merging.kept)
    inserted = {name: count for name, count in merging.inserted.items() if count}
    return Merged(inserted, merging.ended, merging.kept, merging.replaced)


@dataclass
class _Merging:
    """The state of a merge, within a transaction on each database."""

    source: Connection
    connection: Connection
    on_conflict: OnConflict
    inserted: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    kept: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)  # environments and cells to summarise

    def take_all(self) -> None:
        """Insert the rows of each table after those of the tables that it refers to."""
        if self.connection.dialect.name != "sqlite":  # nothing may be pruned meanwhile
            self.connection.execute(text("lock table sweep, environment, cell, run in row exclusive mode"))
        for table in (sweep, environment, cell, reference, source_table, run, planned):
            self._take(table)
        with closing(chunks(self.source, select(trial).order_by(trial.c.id), _CHUNK)) as parts:
            for part in parts:
                self._take_trials(part)
        for table in (noise_floor, annotation):
            self._take(table)
        for row in self.source.execute(select(baseline).order_by(baseline.c.name)).mappings():
            self._take_baseline(dict(row))
        self._summarise()

    def _take(self, table: Table) -> None:
        """Insert the rows of a table whose key is the same in every database."""
        ordered = rows_of(table).order_by(*(table.c[name] for name in KEYS[table.name]))
        with closing(chunks(self.source, ordered, _CHUNK)) as parts:
            for part in parts:
                self._take_part(table, part)

    def _take_part(self, table: Table, part: Sequence[Row]) -> None:
        here = known(self.connection, table, part)
        for row in part:
            ours = here.get(key_of(table, row))
            if ours is None or alike(table, ours, row):
                continue
            takes_theirs = self._settle(Conflict(table, ours, row))
            if takes_theirs:
                self._replace(table, ours, row)
        new = [row for row in part if key_of(table, row) not in here]
        if table is run:
            self.ended += self._end(part)
            new = self._with_sweep_ids(new)
        elif table is sweep:
            new = [{name: row[name] for name in row if name != "id"} for row in new]
        self.inserted[table.name] += insert_missing(self.connection, table, new)

    def _settle(self, conflict: Conflict) -> bool:
        """Decide which of the two rows is kept, and note the decision; True if it is theirs."""
        takes_theirs = self.on_conflict == "newer" and conflict.theirs_is_newer
        noted = self.replaced if takes_theirs else self.kept
        noted.append(named(conflict.table, conflict.ours))
        return takes_theirs

    def _replace(self, table: Table, ours: Row, theirs: Row) -> None:
        row = self._with_sweep_ids([theirs])[0] if table is run else theirs
        content = {name: row[name] for name in ours if name in row and name not in _OURS}
        key = (table.c[name] == ours[name] for name in KEYS[table.name])
        self.connection.execute(update(table).where(*key).values(content))
        if table is run:  # the summary groups trials by it
            cells = self.connection.scalars(select(trial.c.cell_key).distinct().where(trial.c.run_id == ours["id"]))
            self.touched.update((one["fingerprint"], key) for key in cells for one in (ours, theirs))

    def _with_sweep_ids(self, runs: Sequence[Row]) -> list[Row]:
        """The runs with the row numbers that their sweeps have here."""
        wanted = select(sweep.c.sha, sweep.c.id).where(sweep.c.sha.in_({row["sha"] for row in runs}))
        ids = dict(self.connection.execute(wanted).all())
        return [
            {name: row[name] for name in row if name != "sha"} | {"sweep_id": ids[row["sha"]], "merged": True}
            for row in runs
        ]

    def _end(self, runs: Sequence[Row]) -> int:
        ends = [{"of_run": r["id"], "how": r["state"], "at": r["finished_at"]} for r in runs if r["state"] != "running"]
        return self.connection.execute(_ENDED, ends).rowcount if ends else 0

    def _take_trials(self, part: Sequence[Row]) -> None:
        """Insert new trials with all that they measured, and settle conflicts about the others."""
        here = known(self.connection, trial, part)
        new = [row for row in part if key_of(trial, row) not in here]
        both = [(here[key], row) for row in part if (key := key_of(trial, row)) in here]
        theirs = measured(self.source, [row["id"] for row in part])
        ours = measured(self.connection, [row["id"] for row, _ in both])
        inserted = self._insert_trials(new, theirs)
        touched = {key_of(trial, row)[:2] for row in inserted}
        for our, their in both:
            if alike(trial, our, their) and ours[our["id"]] == theirs[their["id"]]:
                continue
            takes_theirs = self._settle(Conflict(trial, our, their))
            if takes_theirs:
                self._replace(trial, our, their)
                self._remeasure(our["id"], theirs[their["id"]])
                touched.add(key_of(trial, our)[:2])
        environments = select(run.c.id, run.c.fingerprint).where(run.c.id.in_({run_id for run_id, _ in touched}))
        fingerprints = dict(self.connection.execute(environments).all())
        self.touched.update((fingerprints[run_id], key) for run_id, key in touched)

    def _summarise(self) -> None:
        """Recompute the summary rows, at the end: other processes that record trials of the cells wait from here on."""
        places = sorted(self.touched, key=itemgetter(1, 0))  # in the order of cells, as wherever several are locked
        for start in range(0, len(places), _CHUNK):
            summary.refresh_all(self.connection, places[start : start + _CHUNK])

    def _insert_trials(self, rows: Sequence[Row], measured: Mapping[int, list[Measured]]) -> list[Row]:
        """Insert the trials; the rows that no other process has inserted in the meantime."""
        if not rows:
            return []
        naturally = [trial.c[name] for name in KEYS[trial.name]]
        insertion = insertion_of_missing(self.connection, trial).returning(trial.c.id, *naturally)
        without_id = [{name: row[name] for name in row if name != "id"} for row in rows]
        ids = {tuple(key): number for number, *key in self.connection.execute(insertion, without_id)}
        inserted = [row for row in rows if key_of(trial, row) in ids]
        self.inserted[trial.name] += len(inserted)
        self._insert_measured((ids[key_of(trial, row)], measured[row["id"]]) for row in inserted)
        return inserted

    def _insert_measured(self, of_trials: Iterable[tuple[int, list[Measured]]]) -> None:
        by_table: dict[str, list[list[Any]]] = {table.name: [] for table in MEASURED}
        for number, content in of_trials:
            for name, row in content:
                by_table[name].append([number, *row])
        for table in MEASURED:
            if rows := by_table[table.name]:
                names = table.columns.keys()
                self.connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
                self.inserted[table.name] += len(rows)

    def _remeasure(self, number: int, content: list[Measured]) -> None:
        for table in MEASURED:
            self.connection.execute(delete(table).where(table.c.trial_id == number))
        self._insert_measured([(number, content)])

    def _take_baseline(self, row: Row) -> None:
        """Insert a baseline with its trials; a baseline of the same name with other trials is a conflict."""
        name = row["name"]
        members = self._members(self.source, name)
        ours = self.connection.execute(select(baseline).where(baseline.c.name == name)).mappings().first()
        if ours is not None:
            if set(self._members(self.connection, name)) == set(members):
                return
            takes_theirs = self._settle(Conflict(baseline, dict(ours), row))
            if not takes_theirs:
                return
            self.connection.execute(delete(baseline_trial).where(baseline_trial.c.name == name))
            self.connection.execute(update(baseline).where(baseline.c.name == name).values(row))
        else:
            self.inserted[baseline.name] += insert_missing(self.connection, baseline, [row])
        for start in range(0, len(members), _CHUNK):
            part = [dict(zip(KEYS[trial.name], key, strict=True)) for key in members[start : start + _CHUNK]]
            ids = [found["id"] for found in known(self.connection, trial, part).values()]
            self.connection.execute(insert(baseline_trial), [{"name": name, "trial_id": number} for number in ids])

    @staticmethod
    def _members(connection: Connection, name: str) -> list[tuple[Any, ...]]:
        naturally = select(*(trial.c[part] for part in KEYS[trial.name])).join_from(baseline_trial, trial)
        return [tuple(row) for row in connection.execute(naturally.where(baseline_trial.c.name == name))]


def _refuse_itself(ours: Database, theirs: Database) -> None:
    if _identity(ours) == _identity(theirs):
        raise StoreError(f"{theirs.place} is the database that is merged into: pass another one")


def _identity(database: Database) -> tuple[Any, ...]:
    """An identity, which is equal if two names mean the same database."""
    if path := file_of(database.url):
        found = path.stat()
        return found.st_dev, found.st_ino
    with database.reading() as connection:
        return tuple(connection.execute(select(func.pg_postmaster_start_time(), func.current_database())).one())


def _refusal(ours: Database, theirs: Database, rows: Sequence[str]) -> StoreError:
    shown = "; ".join(rows[:_SHOWN]) + (f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")
    return StoreError(
        f"{theirs.place} and {ours.place} have {len(rows)} row(s) of one key and other content ({shown}): nothing was "
        "merged; pass --on-conflict keep, and ours stay, or --on-conflict newer"
    )


_ENDED = (
    update(run)
    .where(run.c.id == bindparam("of_run"), run.c.state == "running")
    .values(state=bindparam("how"), finished_at=bindparam("at"))
)
