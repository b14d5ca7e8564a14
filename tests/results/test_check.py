"""`db check` and `db close`: every finding says how to mend it, and runs of ended processes are closed."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text, update

from results.engine.location import StoreError
from results.opening.copying import back_up
from results.schema.tables import lease, summary
from results.store import Store
from results.tools import runs
from results.tools.check import findings
from results.write.leases import Holder
from results.write.spool import Spool
from tests.support.stocked import PLAN, a_run, a_trial, stock

DEAD = 2**22 + 1  # above every process id of Linux


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        stock(opened)
        yield opened


def leased_by(store: Store, pid: int) -> None:
    """Make a process of this machine, dead or alive, the holder of the lease of the run that is running."""
    here = Holder.this_process()
    started_at = here.pid_started_at if pid == here.pid else 0.0
    with store.database.writing() as connection:
        connection.execute(update(lease).values(host=here.host, pid=pid, pid_started_at=started_at))


def test_a_sound_database_has_no_finding(store):
    assert list(findings(store)) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (update(summary).values(trials=99), "summary does not say what trials, metrics and samples say"),
        (
            text("delete from summary"),
            "summary does not say what trials, metrics and samples say: nodebench db rebuild",
        ),
        (text("update cell set solver = 'LIES' where solver = 'euler'"), "its key is no hash of its content"),
        (text("update trial set status = 'fine'"), "status = 'fine'"),
        (text("update nodebench set identity = '../../of another'"), "it has no identity, by which what is spooled"),
    ],
)
def test_wrong_rows_are_found(store, damage, said):
    with store.database.writing() as connection:
        connection.execute(damage)
    assert any(said in line for line in findings(store))


def test_spooled_trials_are_found(store):
    Spool.of(store.database).put("a-1", a_trial(process_index=7))
    (line,) = findings(store)
    assert line.startswith("1 spooled trial(s) wait in ")
    assert line.endswith(": nodebench run takes them in")


def test_a_run_of_an_ended_process_is_found_and_closed(store):
    leased_by(store, DEAD)
    (line,) = findings(store)
    assert line == "1 run(s) are written as running, and their processes have ended (a-3): nodebench db close"
    assert runs.close(store, []) == ["a-3"]
    assert list(findings(store)) == []
    assert next((line.id, line.state) for line in runs.listed(store)) == ("a-3", "interrupted")
    assert runs.close(store, []) == []


def test_a_run_that_is_running_or_has_ended_is_not_closed(store):
    leased_by(store, Holder.this_process().pid)
    assert runs.close(store, []) == []
    with pytest.raises(StoreError, match=r"run a-3 goes on \(process \d+ on .*\): end that process first"):
        runs.close(store, ["a-3"])
    with pytest.raises(StoreError, match=r"run a-1 has ended already \(complete\): leave it out"):
        runs.close(store, ["a-1"])
    store.begin(replace(a_run("young"), started_at=time.time()), PLAN)
    with pytest.raises(StoreError, match="run young may go on, as it was heard of within a day"):
        runs.close(store, ["young"])
    assert {line.state for line in runs.listed(store) if line.id in ("a-3", "young")} == {"running"}


def test_a_run_without_news_for_a_day_is_closed_if_it_is_named(store):
    store.begin(a_run("old"), PLAN)
    assert runs.close(store, ["old"]) == ["old"]


def damaged(path) -> None:
    """Overwrite a page of the table of samples."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'sample'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_a_damaged_file_is_found_and_not_backed_up(tmp_path, call):
    path = tmp_path / "bench.db"
    with Store.open(str(path), create=True) as store:
        stock(store)
    damaged(path)
    code, out, err = call("db", "check", "--db", str(path))
    assert (code, err) == (1, "")
    assert "it cannot be read to its end (database disk image is malformed): restore a backup, or" in out
    with Store.open(str(path)) as store, pytest.raises(StoreError) as refused:
        back_up(store.database, tmp_path / "copy.db")
    assert "damaged" in str(refused.value) or "malformed" in str(refused.value)
    assert not list(tmp_path.glob("*copy*"))


def test_check_runs_and_close_print_what_they_find(tmp_path, call):
    path = tmp_path / "bench.db"
    with Store.open(str(path), create=True) as store:
        stock(store)
        leased_by(store, DEAD)
    code, out, _ = call("db", "check", "--db", str(path))
    assert (code, out.splitlines()[-1]) == (1, f"{path}: 1 finding")
    code, out, _ = call("db", "runs", "--db", str(path))
    assert "running, but process" in out.splitlines()[1]
    assert call("db", "close", "--db", str(path))[:2] == (0, "run a-3: interrupted\n")
    assert call("db", "check", "--db", str(path))[:2] == (0, f"{path}: sound\n")
    assert "no run is written as running" in call("db", "close", "--db", str(path))[1]
