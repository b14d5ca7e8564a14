"""Leases: a cell is measured by one run at a time, and a process that has ended holds no lease."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest

from results.records import Environment
from results.schema.tables import lease
from results.store import Store
from results.write.leases import Holder, Leases, _started_at
from tests.support.forked import CELLS, HERE, PLAN, Nursery, a_run

KEYS = [cell.key for cell in CELLS[:3]]
ELSEWHERE = Holder("elsewhere", 4711, 1.0)


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        for name in ("run-1", "run-2"):
            opened.begin(a_run(name), PLAN)
        yield opened


def leases(store: Store, name: str, holder: Holder | None = None) -> Leases:
    return Leases(store.database, a_run(name), longest_s=60.0, holder=holder)


def age(store: Store, seconds: float) -> None:
    """Move the end of every lease nearer by so many seconds."""
    with store.database.writing() as connection:
        connection.execute(lease.update().values(expires_at=lease.c.expires_at - seconds))


def rows(store: Store) -> list[tuple]:
    with store.database.reading() as connection:
        return [tuple(row) for row in connection.execute(lease.select().order_by(lease.c.cell_key))]


def states(store: Store) -> dict[str, str]:
    return dict(store.runs()[["run_id", "state"]].itertuples(index=False, name=None))


def test_no_other_run_gets_a_leased_cell(store):
    assert leases(store, "run-1").take(KEYS) == []
    (holder,) = leases(store, "run-2").take(KEYS[:1])
    assert holder.pid == os.getpid()
    assert f"process {os.getpid()} on" in str(holder)


def test_either_all_of_the_cells_are_leased_or_none(store):
    leases(store, "run-1").take(KEYS[:1])
    assert leases(store, "run-2").take(KEYS)
    assert len(rows(store)) == 1


def test_a_released_cell_can_be_leased_again(store):
    first = leases(store, "run-1")
    first.take(KEYS)
    first.release()
    assert leases(store, "run-2").take(KEYS) == []


def test_releasing_leaves_the_leases_of_others_alone(store):
    leases(store, "run-1").take(KEYS[:1])
    second = leases(store, "run-2")
    second.take(KEYS[1:])
    second.release()
    assert len(rows(store)) == 1


def test_a_run_may_lease_its_own_cells_again(store):
    first = leases(store, "run-1")
    assert first.take(KEYS[:2]) == first.take(KEYS) == []
    assert len(rows(store)) == len(KEYS)


def test_another_environment_may_lease_the_same_cells(store):
    there = Environment({"cpu": "two"})
    store.begin(replace(a_run("run-3"), environment=there), PLAN)
    leases(store, "run-1").take(KEYS)
    other = Leases(store.database, replace(a_run("run-3"), environment=there), longest_s=60.0)
    assert HERE.fingerprint != there.fingerprint
    assert other.take(KEYS) == []


def test_another_machines_lease_ends_when_it_expires_and_not_before(store):
    leases(store, "run-1", ELSEWHERE).take(KEYS)
    age(store, 2 * 60.0)
    assert leases(store, "run-2").take(KEYS) == [ELSEWHERE]
    age(store, 2 * 60.0)
    assert leases(store, "run-2").take(KEYS) == []


def test_a_living_process_of_this_machine_keeps_its_lease_after_it_expires(store):
    leases(store, "run-1").take(KEYS)
    age(store, 1e6)
    assert leases(store, "run-2").take(KEYS)


def test_a_new_process_with_the_id_of_an_ended_one_does_not_hold_its_lease(store):
    me = Holder.this_process()
    leases(store, "run-1", replace(me, pid_started_at=me.pid_started_at - 100)).take(KEYS)
    assert leases(store, "run-2").take(KEYS) == []


def test_a_zombie_process_holds_no_lease(store):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = replace(Holder.this_process(), pid=process.pid, pid_started_at=_started_at(process.pid))
        leases(store, "run-1", holder).take(KEYS)
        assert leases(store, "run-2").take(KEYS) == [holder]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert leases(store, "run-2").take(KEYS) == []


def test_the_leases_of_a_killed_process_are_free_at_once(url):
    with Nursery() as nursery:
        (said,) = nursery.all_at_once("lease", [{"url": url, "name": "killed"}], killed_after="leased")
    assert said == "leased\n"
    with Store.open(url) as store:
        assert len(rows(store)) == len(CELLS)
        assert min(row[-1] for row in rows(store)) > time.time()
        store.begin(a_run("run-1"), PLAN)
        assert leases(store, "run-1").take([cell.key for cell in CELLS]) == []
        assert states(store) == {"killed": "interrupted", "run-1": "running"}


def test_a_run_that_was_written_as_interrupted_can_still_complete(store):
    leases(store, "run-1", ELSEWHERE).take(KEYS)
    age(store, 1e6)
    leases(store, "run-2").take(KEYS)
    assert states(store)["run-1"] == "interrupted"
    store.finish("run-1", state="complete")
    assert states(store)["run-1"] == "complete"


def test_a_renewal_extends_the_leases_but_not_soon_after_the_last_one(store, monkeypatch):
    first = leases(store, "run-1", ELSEWHERE)
    first.take(KEYS)
    age(store, 100.0)
    before = rows(store)
    first.renew()
    assert rows(store) == before
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 100.0)
    first.renew()
    assert all(new[-1] > old[-1] + 90 for new, old in zip(rows(store), before, strict=True))


def test_a_lease_outlasts_the_longest_measurement_with_time_to_spare(store):
    leases(store, "run-1").take(KEYS)
    left_s = min(row[-1] for row in rows(store)) - time.time()
    assert left_s * 3 / 4 > 2 * 60.0  # a quarter may have passed since the last renewal


def test_renewing_and_releasing_raise_nothing_if_the_database_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.05)
    path = tmp_path / "bench.db"
    with Store.open(str(path), create=True) as store, closing(sqlite3.connect(path)) as other:
        store.begin(a_run("run-1"), PLAN)
        first = leases(store, "run-1")
        first.take(KEYS)
        other.execute("begin immediate")
        now = time.monotonic()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: now + 1e4)
            first.renew()
        first.release()
        other.rollback()
        assert len(rows(store)) == len(KEYS)
