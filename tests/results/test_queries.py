"""Frequent queries use an index, on both engines: a database may grow for years."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, text

from results import Where
from results.read import lookup
from results.records import Sample, Trial
from results.store import Store
from tests.support import scale
from tests.support.servers import server_database

LARGE = {"trial", "metric", "sample", "curve", "summary", "cell", "planned", "failed"}  # failed: an alias of trial
SIZE = scale.Size(sweeps=8, cells=150)
RUN = scale.run_of(3, "second")
KEYS = [cell.key for cell in scale.cells_of(3, 20)]
FEW = Where(cell_key=KEYS)
OF_RUN = Where(run_id=RUN.id)
HERE = RUN.environment.fingerprint


def record(store: Store, process_index: int) -> None:
    samples = {"forward_s": [Sample(0, 0, 1.0)]}
    trial = Trial(cell_key=KEYS[0], kind="timing", process_index=process_index, metrics={"error": 1.0}, samples=samples)
    store.record(RUN.id, trial)


HOT: dict[str, Callable[[Store], Any]] = {
    "the standing trials of some cells": lambda store: store.standing(HERE, KEYS, [None]),
    "the newest trials of some cells": lambda store: store.trials(FEW),
    "all trials of some cells": lambda store: store.trials(FEW, newest=False),
    "the newest trials of some cells here": lambda store: store.trials(Where(cell_key=KEYS, fingerprint=HERE)),
    "the metrics of some cells": lambda store: store.metrics(FEW),
    "the samples of some cells": lambda store: store.samples(FEW),
    "the curves of some cells": lambda store: store.curves(FEW),
    "one run's summary": lambda store: store.summary(OF_RUN),
    "one run's plan": lambda store: store.planned(OF_RUN),
    "one run's trials": lambda store: store.trials(OF_RUN),
    "one run's metrics": lambda store: store.metrics(OF_RUN),
    "one run's samples": lambda store: store.samples(OF_RUN),
    "one run's curves": lambda store: store.curves(OF_RUN),
    "recording a trial": lambda store: record(store, 90),
}


@dataclass(frozen=True)
class Asked:
    """A statement as it was sent to the database."""

    sql: str
    parameters: Any


@contextmanager
def statements() -> Iterator[list[Asked]]:
    asked: list[Asked] = []

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool) -> None:
        asked.append(Asked(sql, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def scans(store: Store, ask: Callable[[Store], Any]) -> list[str]:
    """The steps of the query plans that read a large table from end to end, with their statements."""
    with statements() as asked:
        ask(store)
    asked = [one for one in asked if one.sql.split()[0].upper() in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")]
    assert asked
    with store.database.reading() as connection:
        explain = scans_of_sqlite if store.database.is_file else scans_of_postgresql
        return [f"{scan}: {one.sql}" for one in asked for scan in explain(connection, one)]


def scans_of_sqlite(connection: Connection, asked: Asked) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"explain query plan {asked.sql}", asked.parameters):
        words = row.detail.split()
        if words[0] == "SCAN" and words[1] in LARGE:  # also the scan of a covering index
            yield row.detail


def make_scans_expensive(connection: Connection) -> None:
    """Make a server plan as if scans of tables were very slow: a small table it would rightly scan."""
    for method in ("seqscan", "hashjoin", "mergejoin"):
        connection.execute(text(f"set local enable_{method} = off"))


def scans_of_postgresql(connection: Connection, asked: Asked) -> Iterator[str]:
    make_scans_expensive(connection)
    (((plan,),),) = connection.exec_driver_sql(f"explain (format json) {asked.sql}", asked.parameters)
    nodes = [plan["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        whole = "Scan" in node["Node Type"] and not ({"Index Cond", "Recheck Cond", "TID Cond"} & set(node))
        if whole and node.get("Relation Name") in LARGE:
            yield json.dumps({name: value for name, value in node.items() if name != "Plans"})


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def grown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with so many rows that an index pays, and with the statistics that PostgreSQL's planner needs."""
    if request.param == "sqlite":
        yield from filled(str(tmp_path_factory.mktemp("grown") / "bench.db"))
        return
    with server_database() as url:
        for store in filled(url):
            with store.database.writing() as connection:
                connection.execute(text("analyze"))
            yield store


def filled(url: str) -> Iterator[Store]:
    with Store.open(url, create=True) as store:
        scale.fill(store, SIZE)
        yield store


@pytest.mark.parametrize("ask", HOT.values(), ids=HOT)
def test_a_hot_query_reads_no_large_table_from_end_to_end(grown, ask):
    assert scans(grown, ask) == []


def test_a_cell_is_found_by_the_start_of_its_key_in_an_index(grown):
    """Also on a server, which sorts letters in another order."""
    assert grown.cell(KEYS[0][:9]).key == KEYS[0]
    assert scans(grown, lambda store: store.cell(KEYS[0][:9])) == []
    assert noted_on(grown) == ("cell", KEYS[0])
    assert scans(grown, noted_on) == []


def noted_on(store: Store) -> tuple[str, str]:
    with store.database.reading() as connection:
        return lookup.run_or_cell(connection, KEYS[0][:9])


def plan_of(store: Store, asked: Asked) -> str:
    with store.database.reading() as connection:
        if not store.database.is_file:
            make_scans_expensive(connection)
        explain = "explain query plan" if store.database.is_file else "explain"
        return "\n".join(map(str, connection.exec_driver_sql(f"{explain} {asked.sql}", asked.parameters)))


def test_the_leases_of_cells_are_found_by_their_key(grown):
    leases = grown.lease(RUN, longest_s=1.0)
    with statements() as asked:
        leases.take(KEYS[:3])
    leases.release()
    (found,) = [one for one in asked if one.sql.upper().startswith("SELECT DISTINCT LEASE")]
    index = "sqlite_autoindex_lease_1 (fingerprint=? AND cell_key=?)" if grown.database.is_file else "lease_pkey"
    assert index in plan_of(grown, found)


@pytest.mark.parametrize("name", [name for name in HOT if "some cells" in name])
def test_the_trials_of_cells_are_found_by_the_index_made_for_them(grown, name):
    with statements() as asked:
        HOT[name](grown)
    found = [one for one in asked if "trial" in one.sql]
    assert found
    for one in found:
        of_metrics = one.sql.startswith("SELECT metric.")  # a server may begin with the metrics, by their key
        assert "trial_of_cell" in (plan := plan_of(grown, one)) or (of_metrics and "metric_pkey" in plan)


@pytest.mark.parametrize("table", ["trial", "metric", "sample", "cell"])
def test_a_query_that_reads_a_whole_table_is_recognised_as_a_scan(grown, table):
    """The check of these tests must notice a scan."""

    def ask(store: Store) -> None:
        with store.database.reading() as connection:
            connection.execute(select(scale.tables.metadata.tables[table])).first()

    assert scans(grown, ask)
