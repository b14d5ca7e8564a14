"""Trials that a database does not take are spooled, and taken in later: whole, and once."""

import json
import math
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

import results
from results.engine.location import UnwritableError
from results.opening.copying import back_up
from results.records import Curve, Sample, Trial
from results.store import Store
from results.write.spool import Spool
from tests.support.forked import CELLS, PLAN, SAMPLES, a_run, a_trial

WHOLE = Trial(
    cell_key=CELLS[0].key, kind="timing", status="ok", reason="ä \ud800", started_at=1.5, duration_s=0.1, position=7,
    log_tail="said \0", metrics={"error": 0.1 + 0.2, "final_loss": math.nan, "error_final": math.inf},
    samples={"forward_s": [Sample(0, 1, 5e-324, 3), Sample(1, 0, 1e308, 1)]},
    curves={"loss": Curve([0.0, 0.1], [[1.0, -math.inf], [math.nan, 1 / 3]])},
)  # fmt: skip


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.2)
    monkeypatch.setattr("results.engine.database.IMPATIENCE_S", 0.05)
    return tmp_path / "state"


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        opened.begin(a_run("run-1"), PLAN)
        yield opened


@contextmanager
def locked(url: str) -> Iterator[None]:
    """A database that the open transaction of another connection locks."""
    if "://" not in url:
        with closing(sqlite3.connect(url)) as other:
            other.execute("begin immediate")
            yield
        return
    import psycopg

    with psycopg.connect(url) as other:
        other.execute("lock table trial, run in exclusive mode")
        yield
        other.rollback()


@contextmanager
def gone(server_url: str) -> Iterator[None]:
    """A server that ends every connection and takes no new one."""
    import psycopg

    name = psycopg.conninfo.conninfo_to_dict(server_url)["dbname"]
    with psycopg.connect(os.environ["NODEBENCH_TEST_POSTGRES"], autocommit=True) as other:
        other.execute(f"alter database {name} allow_connections false")
        other.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        yield
        other.execute(f"alter database {name} allow_connections true")


def content(store: Store) -> list[object]:
    """The frames of all trials, as JSON."""
    frames = (store.trials(), store.metrics(), store.samples(), store.curves(), store.summary())
    return [frame.to_json(double_precision=15, default_handler=repr) for frame in frames]


def test_a_trial_for_a_locked_database_is_spooled_and_taken_in_with_the_next(store, url):
    with locked(url):
        store.record("run-1", a_trial(CELLS[0], 0))
        store.record("run-1", a_trial(CELLS[0], 1))
    assert len(store.spooled.files) == 2
    assert "lock" in store.spooled.reason
    assert store.trials().empty
    store.record("run-1", a_trial(CELLS[0], 2))
    assert store.spooled.files == ()
    assert not any(folder.exists() for folder in Spool.of(store.database).folders)
    assert sorted(store.trials()["process_index"]) == [0, 1, 2]
    assert len(store.samples()) == 3 * SAMPLES
    assert store.summary()["trials"].tolist() == [3]


def test_the_next_opening_takes_the_spool_in_and_says_so(store, url):
    with locked(url):
        store.record("run-1", a_trial(CELLS[0], 0))
    with Store.open(url) as reader:
        (notice,) = reader.notices
        assert "1 spooled trial(s) wait in" in notice
        assert reader.trials().empty
    with pytest.warns(UserWarning, match=r"1 spooled trial\(s\) wait in .*: the next `nodebench run` here takes"):
        results.open(url).__exit__()
    with Store.open(url, create=True) as writer:
        (notice,) = writer.notices
        assert "1 spooled trial(s) taken in from" in notice
        assert len(writer.trials()) == 1
    with Store.open(url, create=True) as writer:
        assert writer.notices == ()


def test_a_spooled_trial_is_the_same_as_a_recorded_one(store, url):
    store.record("run-1", WHOLE)
    recorded = content(store)
    with store.database.writing() as connection:
        for table in ("metric", "sample", "curve", "trial", "summary"):
            connection.exec_driver_sql(f"delete from {table}")
    with locked(url):
        store.record("run-1", WHOLE)
    with Store.open(url, create=True) as writer:
        assert content(writer) == recorded


def test_a_trial_that_was_written_and_spooled_is_there_once(store):
    """A crash between the commit and the removal of the spooled file leaves such a trial."""
    store.record("run-1", a_trial(CELLS[0], 0))
    spool = Spool.of(store.database)
    spool.put("run-1", a_trial(CELLS[0], 0))
    before = content(store)
    with Store.open(store.database.url.render_as_string(hide_password=False), create=True) as writer:
        assert content(writer) == before
    assert spool.waiting() == []


def test_files_that_cannot_be_taken_in_stay_and_are_reported(store, url):
    spool = Spool.of(store.database)
    of_unknown_run = spool.put("run-7", a_trial(CELLS[0], 0))
    spool.put("run-1", a_trial(CELLS[0], 1))
    torn = of_unknown_run.with_name("torn.json")
    torn.write_text('{"format": 1')
    newer = of_unknown_run.with_name("newer.json")
    newer.write_text(json.dumps({"format": 99}))
    with Store.open(url, create=True) as writer:
        assert len(writer.trials()) == 1
        said = " | ".join(writer.notices)
    assert spool.waiting() == sorted([of_unknown_run, torn, newer], key=lambda path: path.name)
    for why in ("no run 'run-7' in this database", "format 99 is not known", "Expecting"):
        assert why in said


JUNK = {
    "deep.json": "[" * 200_000,
    "no number.json": ("curves", {"loss": {"x": ["a"], "y": [[1.0]]}}),
    "no float.json": ("curves", {"loss": {"x": [10**400], "y": [[1.0]]}}),
    "no integer.json": ("process_index", 10**30),
    "run-1.end": '{"format": 1, "state": "zzz", "at": 1.0}',
    "run-2.end": '{"format": 1, "state": "complete", "at": "x"}',
    "run-3.end": "[" * 200_000,
}


@pytest.mark.parametrize("name", JUNK)
def test_an_invalid_file_in_a_spool_stays_and_the_others_are_taken_in(store, url, name):
    with locked(url):
        store.record("run-1", WHOLE)
        if not name.endswith(".end"):
            with pytest.raises(UnwritableError):
                store.finish("run-1", state="complete")
    (good,) = store.spooled.files
    content = JUNK[name]
    if isinstance(content, tuple):
        field, value = content
        spooled = json.loads(good.read_text())
        content = json.dumps({**spooled, "trial": {**spooled["trial"], field: value}, "run_id": "run-9"})
    (good.parent / name).write_text(content)
    with Store.open(url, create=True) as writer:
        assert len(writer.trials()) == 1
        assert list(writer.runs()["state"]) == ["running" if name.endswith(".end") else "complete"]
    assert [path.name for path in good.parent.iterdir() if path.suffix in (".json", ".end")] == [name]


def test_a_run_that_ended_while_nothing_could_be_written_is_closed_with_its_trials(store, url):
    with locked(url):
        store.record("run-1", WHOLE)
        with pytest.raises(UnwritableError):
            store.finish("run-1", state="complete")
    with Store.open(url, create=True) as again:
        (found,) = again.runs().to_dict("records")
        assert (found["state"], found["finished_at"] > 0) == ("complete", True)
        assert len(again.trials()) == 1
    assert not any(folder.exists() for folder in Spool.of(store.database).folders)


def test_the_end_of_a_run_that_another_process_has_written_stays(store, url):
    with locked(url), pytest.raises(UnwritableError):
        store.finish("run-1", state="complete")
    with Store.open(url, write=True) as other:
        other.finish("run-1", state="interrupted")
    with Store.open(url, create=True) as again:
        assert list(again.runs()["state"]) == ["interrupted"]


def test_a_server_that_has_gone_loses_nothing(server_url, state):
    with Store.open(server_url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        with gone(server_url):
            store.record("run-1", WHOLE)
        (path,) = store.spooled.files
        assert path.is_relative_to(state / "nodebench" / "spool")
        store.record("run-1", a_trial(CELLS[0], 1))
        assert store.spooled.files == ()
        assert len(store.trials()) == 2


def test_a_server_with_read_only_transactions_loses_nothing(server_url):
    import psycopg

    with Store.open(server_url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
    name = psycopg.conninfo.conninfo_to_dict(server_url)["dbname"]
    with psycopg.connect(server_url, autocommit=True) as owner:
        owner.execute(f"alter database {name} set default_transaction_read_only = on")
    with Store.open(server_url) as store:
        store.record("run-1", WHOLE)
        assert "read-only transaction" in store.spooled.reason


def test_recording_fails_only_if_the_spool_fails_too(url, store, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with locked(url), pytest.raises(UnwritableError, match=r"Nor could the trial be spooled .*No space left on device"):
        store.record("run-1", WHOLE)
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".draft")] == []


def test_each_database_has_a_spool_of_its_own(tmp_path):
    urls = ["postgresql+psycopg://me@host/one", "postgresql+psycopg://me@host/two", f"sqlite:///{tmp_path}/one.db"]
    for identities in (("a", "b", "c"), ("", "", "")):
        spools = [Spool(make_url(url), identity) for url, identity in zip(urls, identities, strict=True)]
        assert len({spool.folders[-1] for spool in spools}) == len(urls)


def test_the_spool_of_a_server_belongs_to_its_database_under_any_url(server_url):
    with Store.open(server_url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        with locked(server_url):
            store.record("run-1", WHOLE)
    otherwise = server_url.replace("nodebench@/", "nodebench@localhost/") + "&application_name=other"
    with Store.open(otherwise) as reader:
        assert "1 spooled trial(s) wait in" in reader.notices[0]
    with Store.open(otherwise, create=True) as writer:
        assert "1 spooled trial(s) taken in from" in writer.notices[0]
        assert len(writer.trials()) == 1


def test_trials_spooled_before_databases_had_an_identity_are_taken_in(store, url, state):
    before = Spool(store.database.url, "")
    path = before.folders[-1] / "1.json"
    spooled = Spool.of(store.database).put("run-1", WHOLE)
    path.parent.mkdir(parents=True)
    spooled.rename(path)
    with Store.open(url, create=True) as writer:
        assert "1 spooled trial(s) taken in from" in writer.notices[0]
    assert not path.parent.exists()


def test_trials_spooled_for_a_database_are_not_taken_in_by_its_backup(server_url, tmp_path):
    with Store.open(server_url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        backup = back_up(store.database, tmp_path / "backup.db")
        with locked(server_url):
            store.record("run-1", WHOLE)
    with Store.open(backup, create=True) as copy:
        assert (copy.notices, len(copy.trials())) == ((), 0)


def test_trials_of_an_earlier_database_of_this_place_are_reported_with_the_remedy(server_url, state):
    with Store.open(server_url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        with locked(server_url):
            store.record("run-1", WHOLE)
        with store.database.writing() as connection:  # as if another database was made under its name
            connection.exec_driver_sql("update nodebench set identity = 'abcdabcdabcdabcdabcdabcdabcdabcd'")
    with Store.open(server_url, create=True) as writer:
        (notice,) = writer.notices
        assert notice.startswith("1 spooled trial(s) are of another database that was here: to take them in, mkdir -p ")
        assert writer.trials().empty
    subprocess.run(notice.partition("to take them in, ")[2], shell=True, check=True)
    with Store.open(server_url, create=True) as writer:
        assert "1 spooled trial(s) taken in from" in writer.notices[0]
        assert len(writer.trials()) == 1


def test_repeated_notices_become_one(store, url):
    for index in range(3):
        with locked(url):
            store.record("run-1", a_trial(CELLS[0], 2 * index))
        store.record("run-1", a_trial(CELLS[0], 2 * index + 1))
    (notice,) = store.notices
    assert notice.startswith("3 spooled trial(s) taken in from")
