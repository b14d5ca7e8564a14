"""A recording process is killed at random moments: what was acknowledged is there, and no row is incomplete."""

import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from results.store import Store
from tests.support.forked import LARGE, METRICS, POINTS, SAMPLES, Nursery
from tests.support.places import DATABASES

VERSION_1 = DATABASES / "version_1.db"


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as started:
        yield started


INCOMPLETE_TRIALS = f"""
select t.id from trial t
where (select count(*) from metric m where m.trial_id = t.id) <> {len(METRICS)}
   or (select count(*) from sample s where s.trial_id = t.id) <> {SAMPLES}
   or coalesce((select length from curve c where c.trial_id = t.id), 0)
      <> case when t.process_index % {LARGE} = 0 then {POINTS} else 2 end
   or coalesce((select trials from summary u where u.run_id = t.run_id and u.cell_key = t.cell_key), 0)
      <> (select count(*) from trial o where o.run_id = t.run_id and o.cell_key = t.cell_key)
"""
INCOMPLETE_RUNS = "select id from run r where (select count(*) from planned p where p.run_id = r.id) <> 40"


def acknowledged(said: str) -> dict[str, set[tuple[str, ...]]]:
    """What the process printed after each write that was acknowledged, by verb."""
    lines = [tuple(line.split()) for line in said.splitlines()]
    return {verb: {line[1:] for line in lines if line[0] == verb} for verb in ("begun", "recorded", "finished")}


def assert_whole(execute, acknowledgements: list[dict[str, set[tuple[str, ...]]]]) -> None:
    assert execute(INCOMPLETE_TRIALS) == []
    assert execute(INCOMPLETE_RUNS) == []
    found = {
        "begun": {(run_id,) for (run_id,) in execute("select id from run")},
        "recorded": {(run_id, str(index)) for run_id, index in execute("select run_id, process_index from trial")},
        "finished": {(run_id,) for (run_id,) in execute("select id from run where state = 'complete'")},
    }
    for one in acknowledgements:
        for verb, said in one.items():
            assert said <= found[verb], verb


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(5))
def test_whatever_was_acknowledged_outlives_ten_kills(tmp_path, nursery, seed):
    """The kills come while a database is created, runs begin, trials are recorded and SQLite makes checkpoints."""
    path, moments, acknowledgements = tmp_path / "bench.db", random.Random(seed), []
    for kill in range(10):
        calls = [{"url": str(path), "name": f"run-{kill}"}]
        (said,) = nursery.all_at_once("record_until_killed", calls, killed_after=moments.uniform(0.0, 0.8))
        acknowledgements.append(acknowledged(said))
        if not path.exists() or not path.stat().st_size:
            continue
        with closing(sqlite3.connect(path)) as connection:
            if not connection.execute("select 1 from sqlite_master").fetchall():
                continue  # killed before the schema was written
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert connection.execute("pragma foreign_key_check").fetchall() == []
            assert_whole(lambda query, connection=connection: connection.execute(query).fetchall(), acknowledgements)
    assert sum(len(one["recorded"]) for one in acknowledgements) > 10


def test_a_server_keeps_what_it_has_acknowledged_to_ten_killed_recorders(server_url, nursery):
    import psycopg

    moments, acknowledgements = random.Random(5), []
    Store.open(server_url, create=True).__exit__()
    for kill in range(10):
        calls = [{"url": server_url, "name": f"run-{kill}"}]
        (said,) = nursery.all_at_once("record_until_killed", calls, killed_after=moments.uniform(0.1, 1.0))
        acknowledgements.append(acknowledged(said))
        with psycopg.connect(server_url, autocommit=True) as connection:
            others = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            while connection.execute(others).fetchall():  # the server notices a killed client when it next writes to it
                time.sleep(0.01)
            assert_whole(lambda query, connection=connection: connection.execute(query).fetchall(), acknowledgements)
    assert sum(len(one["recorded"]) for one in acknowledgements) > 10


def rows(path: Path) -> dict[str, int]:
    tables = ("sweep", "environment", "run", "cell", "planned", "trial", "metric", "sample", "curve")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        return {table: connection.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}


def columns(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {f"{name}.{row[1]}" for name in names for row in connection.execute(f"pragma table_info({name})")}


@pytest.mark.exhaustive
def test_a_killed_upgrade_leaves_the_old_version_or_the_new_one(tmp_path, nursery):
    path, moments = tmp_path / "bench.db", random.Random(7)
    shutil.copy(VERSION_1, path)
    before, old = rows(path), columns(path)
    started = time.monotonic()
    nursery.all_at_once("upgrade", [{"path": str(path)}])
    lasted_s, new = time.monotonic() - started, columns(path)
    assert old != new
    for _ in range(10):
        for left in tmp_path.iterdir():
            left.unlink()
        shutil.copy(VERSION_1, path)
        (said,) = nursery.all_at_once(
            "upgrade", [{"path": str(path)}], killed_after=moments.uniform(0.0, 1.2 * lasted_s)
        )
        assert rows(path) == before
        assert columns(path) == new if "upgraded" in said else columns(path) in (old, new)
        Store.open(str(path), write=True).__exit__()  # the next upgrade completes it
        assert (rows(path), columns(path)) == (before, new)
