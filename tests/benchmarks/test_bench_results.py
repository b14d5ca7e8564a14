"""A large database: `make scale` builds and keeps it, which takes minutes and 1.2 GB.

Goals, for 100,000 cells, 1,000,000 trials and 20,000,000 samples in one file: the pending trials of a sweep of 10,000
cells in under 1 s, the summary of a run in under 1 s, and 500 trials recorded a second, in bounded memory. On a
PostgreSQL server (NODEBENCH_TEST_POSTGRES) the database is a tenth as large.

Times on two shared cores: a trial of 20 samples takes 1.1 ms in Python and SQLite, of which 0.5 are for its summary,
and the time of the disk to sync. Reading what is recorded of 10,000 cells takes 0.15 s in SQLite and 0.2 s in Python
for 80,000 rows; the keys of the cells are hashed once, which takes another 0.15 s. A frame costs 7 us a row.
"""

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from bench.plan.due import Recorded, pending
from bench.sweep.measure import Measure, asked
from results import Where
from results.read import frames
from results.records import Cell, Planned, Sample, Trial
from results.schema import tables
from results.store import Store
from tests.support import scale
from tests.support.servers import server_database

RECORDED = {"sqlite": 20_000, "postgresql": 4_000}  # trials
MIB = 2**20


@dataclass(frozen=True)
class Aged:
    """The URL, engine and size of a large database."""

    url: str
    engine: str
    size: scale.Size

    def facts(self, store: Store) -> dict[str, Any]:
        """The engine, trials, samples and MiB of the database."""
        query = "select pg_database_size(current_database())"
        if self.engine == "sqlite":
            query = "select page_count * page_size from pragma_page_count, pragma_page_size"
        with store.database.reading() as connection:
            mib = connection.exec_driver_sql(query).scalar_one() / MIB
        return {"engine": self.engine, "trials": self.size.trials, "samples": self.size.samples, "MiB": round(mib)}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def aged(request: pytest.FixtureRequest) -> Iterator[Aged]:
    if request.param == "sqlite":
        yield Aged(str(kept_file()), "sqlite", scale.YEARS)
        return
    with server_database() as url:
        with Store.open(url, create=True) as store:
            scale.fill(store, scale.MONTHS)
            with store.database.raw() as connection:
                connection.driver_connection.autocommit = True
                connection.driver_connection.execute("vacuum analyze")
        yield Aged(url, "postgresql", scale.MONTHS)


def kept_file() -> Path:
    """The path of the SQLite file, which is made if there is none of this schema by this version of `scale`."""
    made = [str(CreateTable(table).compile(dialect=sqlite.dialect())) for table in tables.metadata.sorted_tables]
    made += [str(CreateIndex(index)) for table in tables.metadata.sorted_tables for index in table.indexes]
    digest = hashlib.sha256("\n".join([*sorted(made), Path(scale.__file__).read_text()]).encode()).hexdigest()
    folder = Path(os.environ.get("NODEBENCH_SCALE_FOLDER", Path(tempfile.gettempdir()) / "nodebench-scale"))
    path = folder / f"{digest[:12]}.db"
    if not path.exists():
        shutil.rmtree(folder, ignore_errors=True)
        draft = folder / "draft" / path.name
        with Store.open(str(draft), create=True) as store:
            scale.fill(store, scale.YEARS)
        draft.replace(path)
        draft.parent.rmdir()
    return path


RUN = scale.run_of(4, "second")
OF_RUN = Where(run_id=RUN.id)


def pending_of_sweep(store: Store, cells: list[Cell]) -> list[Any]:
    """The pending trials as a run finds them before it begins; each cell lacks one timing."""
    standing = store.standing(RUN.environment.fingerprint, [cell.key for cell in cells])
    return pending(cells, Recorded.of(standing, cells), asked(Measure(processes=scale.PROCESSES + 1)))


READS: dict[str, Callable[[Store, list[Cell]], Any]] = {
    "pending of a sweep": pending_of_sweep,
    "summary of a run": lambda store, _: store.summary(OF_RUN),
    "plan of a run": lambda store, _: store.planned(OF_RUN),
    "runs": lambda store, _: store.runs(),
    "a cell by the start of its key": lambda store, cells: store.cell(cells[0].key[:8]),
    "trials of a run": lambda store, _: store.trials(OF_RUN),
    "metrics of a run": lambda store, _: store.metrics(OF_RUN),
    "curves of a run": lambda store, _: store.curves(OF_RUN),
    "samples of a run": lambda store, _: store.samples(OF_RUN),
}


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize("connection", ["new", "warm"])
def test_reading(benchmark: BenchmarkFixture, aged: Aged, what: str, connection: str) -> None:
    benchmark.group = f"{aged.engine}: {what}"
    read, rounds = READS[what], 2 if what == "samples of a run" else 7
    with Store.open(aged.url) as store:
        benchmark.extra_info |= aged.facts(store)
        if connection == "warm":
            asked = store, scale.cells_of(4, aged.size.cells)
            read(*asked)
            benchmark.pedantic(read, asked, rounds=rounds)
            return
    opened: list[Store] = []

    def setup() -> tuple[tuple[Store, list[Cell]], dict[str, Any]]:
        """A new connection and new cells, as in a new process: no page of the file and no key of a cell is cached."""
        opened.append(Store.open(aged.url))
        return (opened[-1], scale.cells_of(4, aged.size.cells)), {}

    benchmark.pedantic(read, setup=setup, rounds=rounds)
    for store in opened:
        store.database.close()


def test_opening(benchmark: BenchmarkFixture, aged: Aged) -> None:
    benchmark.group = f"{aged.engine}: opening"
    benchmark.pedantic(lambda: Store.open(aged.url).database.close(), rounds=20)


def trials_of(size: scale.Size, count: int) -> Iterator[Trial]:
    """Timings of one cell after another, as a run records them: 3 metrics and 20 samples each."""
    series = [Sample(index, index % 8, 0.001 * (index + 1), 3) for index in range(10)]
    samples = dict.fromkeys(scale.SERIES, series)
    metrics = {"first_call_s": 0.1, "nfe_forward": 40.0, "peak_bytes": 1e6}
    cells = scale.cells_of(0, size.cells)
    for index, cell in (place for place, _ in zip(product(range(count), cells), range(count), strict=False)):
        yield Trial(cell_key=cell.key, kind="timing", process_index=index, metrics=metrics, samples=samples)


def test_recording(benchmark: BenchmarkFixture, aged: Aged, tmp_path: Path) -> None:
    count = RECORDED[aged.engine]
    url = aged.url if aged.engine == "postgresql" else str(shutil.copy(aged.url, tmp_path / "bench.db"))
    run = replace(scale.run_of(0, "second"), id=uuid.uuid4().hex)
    rss = Rss()
    with Store.open(url) as store:
        store.begin(run, [Planned("scale", cell) for cell in scale.cells_of(0, aged.size.cells)])
        trials = trials_of(aged.size, count)
        store.record(run.id, next(trials))
        rss.begin()

        def record() -> None:
            for number, trial in enumerate(trials):
                store.record(run.id, trial)
                if number % 500 == 0:
                    rss.note()

        began = time.process_time()
        benchmark.pedantic(record, rounds=1)
        spent = time.process_time() - began
        assert len(store.trials(Where(run_id=run.id))) == count
    rate = (count - 1) / benchmark.stats.stats.total
    own = (count - 1) / spent  # per second of this process's CPU time, as others may use the machine too
    benchmark.extra_info |= {
        "trials_per_s": round(rate),
        "trials_per_s_of_its_own_time": round(own),
        "rss_growth_MiB": rss.growth,
    }
    print(
        f"\n{aged.engine}: {rate:.0f} trials recorded a second, {own:.0f} of its own; {rss.growth:.1f} MiB more memory"
    )


def test_streaming(benchmark: BenchmarkFixture, aged: Aged) -> None:
    rss = Rss()
    with Store.open(aged.url) as store, store.database.reading() as connection:
        rss.begin()

        def stream() -> int:
            rows = 0
            for part in frames.chunks(connection, frames.measured(tables.sample, OF_RUN), 10_000):
                rows += len(part)
                rss.note()
            return rows

        rows = benchmark.pedantic(stream, rounds=1)
    assert rows == aged.size.cells * scale.SAMPLES_A_CELL
    benchmark.extra_info |= {"rows": rows, "rss_growth_MiB": rss.growth}
    print(f"\n{aged.engine}: {rows} samples in parts of 10,000, {rss.growth:.1f} MiB more memory")


class Rss:
    """The largest growth of this process's resident memory."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._most = 0

    def begin(self) -> None:
        """Start to measure from the current memory."""
        self._before = self._most = self._process.memory_info().rss

    def note(self) -> None:
        """Update the maximum with the current memory."""
        self._most = max(self._most, self._process.memory_info().rss)

    @property
    def growth(self) -> float:
        """The largest growth in MiB."""
        return round((self._most - self._before) / MIB, 1)
