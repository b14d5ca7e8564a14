"""Several processes and one database: nothing is lost, nothing is doubled, and no process waits for ever."""

import threading

import pytest
from sqlalchemy import create_engine, text

from results.schema import summary
from results.store import Store
from results.write.spool import Spool
from tests.support.forked import CELLS, LARGE, LONG_PLAN, METRICS, PLAN, SAMPLES, Nursery, a_run, a_trial

WRITERS, TRIALS = 8, 500


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as started:
        yield started


def count(url: str, query: str) -> int:
    """The number that an SQL query gives."""
    url = url.replace("postgresql://", "postgresql+psycopg://") if "://" in url else f"sqlite:///{url}"
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())
    finally:
        engine.dispose()


def calls(url: str, **arguments: object) -> list[dict[str, object]]:
    return [{"url": url, "name": f"run-{index}", **arguments} for index in range(WRITERS)]


@pytest.mark.exhaustive
def test_eight_writers_of_five_hundred_trials_lose_none_and_double_none(url, nursery):
    nursery.all_at_once("record", calls(url, trials=TRIALS))
    every = WRITERS * TRIALS
    natural_key = "select distinct run_id, cell_key, kind, process_index from trial"
    assert count(url, "select count(*) from trial") == every
    assert count(url, f"select count(*) from ({natural_key}) as keyed") == every
    assert count(url, "select sum(process_index) from trial") == WRITERS * sum(1 + LARGE * i for i in range(TRIALS))
    assert count(url, "select count(*) from metric") == every * len(METRICS)
    assert count(url, "select count(*) from sample") == every * SAMPLES
    assert count(url, "select count(*) from curve") == every
    assert count(url, "select count(*) from summary") == WRITERS * len(CELLS)
    assert count(url, "select sum(trials) from summary") == every


@pytest.mark.exhaustive
def test_of_eight_runs_of_the_same_cells_each_cell_is_measured_by_one(url, nursery):
    nursery.all_at_once("compete", calls(url))
    assert count(url, "select count(*) from trial") == len(CELLS)
    assert count(url, "select count(distinct cell_key) from trial") == len(CELLS)
    assert count(url, "select count(*) from lease") == 0


def test_eight_processes_may_create_the_same_database_at_once(url, nursery):
    nursery.all_at_once("take_in", [{"url": url}] * WRITERS)
    assert count(url, "select count(*) from nodebench") == 1


def test_eight_processes_may_begin_the_same_sweep_at_once(url, nursery):
    nursery.all_at_once("begin", calls(url, sweep="one"))
    assert count(url, "select count(*) from sweep") == 1
    assert count(url, "select count(*) from cell") == len(LONG_PLAN)
    assert count(url, "select count(*) from run") == WRITERS
    assert count(url, "select count(*) from planned") == WRITERS * len(LONG_PLAN)


def test_eight_processes_may_begin_sweeps_that_share_new_cells(url, nursery):
    """Each sweep lists the cells in another order: inserted in these orders, they would deadlock on a server."""
    with Store.open(url, create=True) as store:
        store.begin(a_run("first"), PLAN)  # the environment exists: no process waits for another that inserts it
    nursery.all_at_once("begin", [{**call, "sweep": call["name"]} for call in calls(url)])
    assert count(url, "select count(*) from sweep") == 1 + WRITERS
    assert count(url, "select count(*) from cell where seed > 0") == len(LONG_PLAN) - 1
    assert count(url, "select count(*) from planned") == len(PLAN) + WRITERS * len(LONG_PLAN)


@pytest.mark.exhaustive
def test_eight_processes_may_record_into_one_cell_of_one_run(url, nursery):
    with Store.open(url, create=True) as store:
        store.begin(a_run("run-0"), PLAN)
    every = [{"url": url, "first": 25 * index, "trials": 25} for index in range(WRITERS)]
    nursery.all_at_once("record_beside", every)
    assert count(url, "select count(*) from trial") == WRITERS * 25
    assert count(url, "select sum(trials) from summary") == WRITERS * 25


@pytest.mark.exhaustive
def test_the_summary_may_be_rebuilt_while_others_record(url, nursery):
    with Store.open(url, create=True) as store:
        store.begin(a_run("run-0"), PLAN)
    every = [{"url": url, "first": 5 * index, "trials": 5} for index in range(WRITERS)]
    nursery.all_at_once("record_and_rebuild", every)
    assert count(url, "select count(*) from summary") == 1
    assert count(url, "select sum(trials) from summary") == WRITERS * 5


def test_recording_a_new_cell_while_the_summary_is_rebuilt_waits_and_loses_nothing(server_url, monkeypatch):
    with Store.open(server_url, create=True) as store, Store.open(server_url, create=True) as other:
        store.begin(a_run("run-0"), PLAN[:1])
        store.record("run-0", a_trial(CELLS[0], 0))

        def record() -> None:
            other.begin(a_run("run-1"), PLAN)
            other.record("run-1", a_trial(CELLS[1], 0))

        recorder = threading.Thread(target=record)
        monkeypatch.setattr("results.schema.views.different", lambda _: recorder.start() or recorder.join(0.5))
        with store.database.writing() as connection:
            summary.rebuild(connection)
        recorder.join()
        assert len(store.summary()) == 2
        assert other.spooled.files == ()


@pytest.mark.exhaustive
def test_eight_processes_that_take_in_the_same_spool_double_nothing(url, nursery, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Store.open(url, create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        spool = Spool.of(store.database)
        for index in range(40):
            spool.put("run-1", a_trial(CELLS[0], 1 + LARGE * index))  # small trials
    with Nursery() as with_this_home:
        with_this_home.all_at_once("take_in", [{"url": url}] * WRITERS)
    assert count(url, "select count(*) from trial") == 40
    assert count(url, "select sum(trials) from summary") == 40
    assert spool.waiting() == []
