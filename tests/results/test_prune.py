"""Pruning and forgetting: superseded or chosen rows are removed, and no others."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from results.engine.location import StoreError
from results.read.where import Where
from results.records import Environment, Planned, Source
from results.schema import summary
from results.schema.tables import lease, noise_floor, run
from results.store import Store
from results.tools import annotations, baselines, prune
from results.write.spool import Spool
from tests.support.stocked import CELLS, CODE, DAY_S, HERE, PLAN, a_run, a_trial, counts, exactly, measure, stock


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


def runs_with_trials(store: Store) -> set[str]:
    with store.database.reading() as connection:
        return set(connection.exec_driver_sql("select run_id from trial").scalars())


def names(store: Store) -> set[str]:
    return set(store.runs()["run_id"])


def test_trials_that_a_newer_run_has_measured_again_are_removed(store):
    measure(store, "old", started_at=10.0)
    measure(store, "new", started_at=20.0)
    frames = store.trials(), store.metrics(), store.samples()
    removed = prune.prune(store)
    assert removed == {"metric": 18, "sample": 18, "curve": 6, "trial": 6, "planned": 3, "run": 1}
    assert names(store) == runs_with_trials(store) == {"new"}
    for before, after in zip(frames, (store.trials(), store.metrics(), store.samples()), strict=True):
        assert before.equals(after)
    assert prune.prune(store) == {}


def test_the_newest_trials_of_every_environment_stay(store):
    measure(store, "here", started_at=10.0)
    measure(store, "there", started_at=20.0, where=Environment({"cpu": "two"}))
    store.begin(a_run("part", started_at=30.0), PLAN)
    store.record("part", a_trial(CELLS[0], started_at=31.0, source=CODE.key))
    assert prune.prune(store) == {"metric": 6, "sample": 6, "curve": 2, "trial": 2}, "the whole series"
    assert names(store) == {"here", "there", "part"}


def test_an_interrupted_trial_is_removed_even_if_it_is_the_only_one(store):
    store.begin(a_run("run"), PLAN)
    store.record("run", a_trial(status="interrupted", metrics={}, samples={}, curves={}))
    assert prune.prune(store) == {"trial": 1}
    assert names(store) == {"run"}, "the run is the newest of its sweep"


def test_the_summary_agrees_with_the_remaining_trials(store):
    measure(store, "old", started_at=10.0)
    store.begin(a_run("part", started_at=20.0), PLAN)
    store.record("part", a_trial(CELLS[0], started_at=21.0, source=CODE.key))
    prune.prune(store)
    kept = exactly(store)["summary"]
    with store.database.writing() as connection:
        summary.rebuild(connection)
    assert exactly(store)["summary"] == kept
    wide = store.summary().set_index(["run_id", "cell_key"])["trials"]
    assert (wide["old", CELLS[1].key], wide["part", CELLS[0].key]) == (2, 1)
    assert ("old", CELLS[0].key) not in wide


def test_a_baseline_keeps_its_trials(store):
    measure(store, "old", started_at=10.0)
    baselines.keep(store, "good")
    measure(store, "new", started_at=20.0)
    before = exactly(store)
    assert prune.prune(store) == {}
    assert exactly(store) == before
    baselines.remove(store, "good")
    assert prune.prune(store)["trial"] == 6


@pytest.mark.parametrize(("key", "left"), [("old", 6), (CELLS[0].key, 2)], ids=["run", "cell"])
def test_the_trials_that_a_note_is_about_stay(store, key, left):
    measure(store, "old", started_at=10.0)
    measure(store, "new", started_at=20.0)
    annotations.annotate(store, key, "look at this")
    prune.prune(store)
    assert counts(store)["trial"] == 6 + left
    assert counts(store)["annotation"] == 1
    assert "old" in names(store)


def a_lease(store: Store, run_id: str) -> None:
    held = {"cell_key": CELLS[0].key, "host": "h", "pid": 1, "pid_started_at": 0.0, "expires_at": 1e12}
    with store.database.writing() as connection:
        connection.execute(insert(lease), [{"run_id": run_id, "fingerprint": HERE.fingerprint, **held}])


def test_a_run_that_holds_a_lease_is_left_alone(store):
    store.begin(a_run("at-work", started_at=10.0), PLAN)
    store.record("at-work", a_trial(started_at=11.0))
    a_lease(store, "at-work")
    store.begin(a_run("dead", started_at=10.0), PLAN)
    store.record("dead", a_trial(started_at=11.5))
    measure(store, "new", started_at=20.0)
    assert prune.prune(store)["trial"] == 1
    assert names(store) == {"at-work", "new"}


def test_a_run_that_has_just_begun_is_left_alone(store):
    now = time.time()
    for run_id in ("first", "second"):
        store.begin(a_run(run_id, started_at=now), PLAN)
    assert prune.prune(store) == {}
    store.record("first", a_trial())


TIMED = Source({"library": "node 1", "adapter": "node 1", "problem": "spiral 1", "measure": "timing 1"})


def test_the_code_of_a_run_that_is_running_stays(store):
    store.begin(a_run("b-1"), PLAN, [TIMED])
    prune.prune(store)
    store.record("b-1", replace(a_trial(), source=TIMED.key))


@pytest.mark.parametrize("spooled", [False, True])
def test_a_source_that_was_pruned_comes_back_with_a_later_trial_of_it(store, spooled):
    store.begin(a_run("b-1"), PLAN, [TIMED])
    with store.database.writing() as connection:
        # As another run writes that finds its lease expired.
        connection.execute(update(run).values(state="interrupted"))
    trial = replace(a_trial(), source=TIMED.key)
    if spooled:
        Spool.of(store.database).put("b-1", trial, store._begun["b-1"])
    assert prune.prune(store)["source"] >= 1
    if spooled:
        Store.open(store.database.url.render_as_string(hide_password=False), create=True).__exit__()
    else:
        store.record("b-1", trial)
    assert list(store.trials(Where(run_id="b-1"))["source"]) == [TIMED.key]


def test_runs_without_trials_are_removed_except_the_newest_of_each_sweep_and_environment(store):
    there = Environment({"cpu": "two"})
    for index, (name, where) in enumerate([("one", HERE), ("one", there), ("two", HERE)]):
        for age in (0, 1):
            run_id = f"{index}-{age}"
            store.begin(a_run(run_id, started_at=10.0 + age, where=where, sweep_name=name), PLAN)
            store.finish(run_id, state="complete")
    assert prune.prune(store) == {"run": 3, "planned": 9}
    assert names(store) == {"0-1", "1-1", "2-1"}


def test_rows_that_nothing_refers_to_are_removed(store):
    """After a sweep was forgotten: its text, its cells and an old noise floor."""
    gone = replace(CELLS[0], dt=0.5)
    first = replace(a_run("old", started_at=10.0), sweep_text="as it was")
    store.begin(first, [Planned("solvers", gone), *PLAN])
    store.record("old", a_trial(started_at=11.0))
    floor = {"name": "forward_s", "ratio": 1.0, "low": 0.9, "high": 1.1, "pairs": 5}
    with store.database.writing() as connection:
        connection.execute(insert(noise_floor), [{"run_id": "old", "cell_key": CELLS[0].key, **floor}])
    store.finish("old", state="complete")
    measure(store, "new", started_at=20.0)
    removed = prune.forget(store, Where(run_id="old"))
    assert {name: removed[name] for name in ("cell", "sweep", "noise_floor", "run")} == {
        "cell": 1, "sweep": 1, "noise_floor": 1, "run": 1,
    }  # fmt: skip
    assert store.cell(gone.key) is None


def test_a_run_without_trials_of_an_edited_sweep_stays(store):
    """It is the only run of its text, so its plan is still asked for."""
    store.begin(replace(a_run("old", started_at=10.0), sweep_text="as it was"), PLAN)
    store.finish("old", state="complete")
    measure(store, "new", started_at=20.0)
    assert prune.prune(store) == {}


def test_only_older_trials_are_removed(store):
    now = time.time()
    measure(store, "old", started_at=now - 10 * DAY_S)
    measure(store, "middle", started_at=now - 5 * DAY_S)
    measure(store, "new", started_at=now - DAY_S)
    assert prune.prune(store, older_than_days=20) == {}
    prune.prune(store, older_than_days=7)
    assert names(store) == {"middle", "new"}


def test_forgotten_trials_are_removed_although_they_are_the_newest_and_others_stay(store):
    measure(store, "run", started_at=10.0)
    before = exactly(store)
    said = prune.forget(store, Where(backend="node"), dry_run=True)
    assert exactly(store) == before
    assert prune.forget(store, Where(backend="node")) == said == {"metric": 12, "sample": 12, "curve": 4, "trial": 4}
    assert set(store.trials()["cell_key"]) == {CELLS[2].key}
    assert names(store) == {"run"}
    assert set(store.summary()["cell_key"]) == {CELLS[2].key}


def test_a_forgotten_run_is_removed_with_its_plan(store):
    measure(store, "old", started_at=10.0)
    measure(store, "new", started_at=20.0)
    assert prune.forget(store, Where(run_id="new"))["run"] == 1
    assert names(store) == {"old"}
    assert set(store.trials()["run_id"]) == {"old"}, "the trials that it had superseded count again"


def test_the_trials_of_a_baseline_are_not_forgotten(store):
    measure(store, "run", started_at=10.0)
    baselines.keep(store, "good")
    assert prune.kept_by_baselines(store, Where(run_id="run")) == 6
    assert prune.forget(store, Where(run_id="run")) == {}


def test_a_dry_run_counts_and_removes_nothing(store):
    stock(store)
    measure(store, "old", started_at=40.0)
    measure(store, "new", started_at=50.0)
    before = exactly(store)
    said = prune.prune(store, dry_run=True)
    assert said
    assert exactly(store) == before
    assert prune.prune(store) == said


def test_true_values_are_not_pruned(store):
    stock(store)
    prune.prune(store)
    assert counts(store)["reference"] == 1


@pytest.mark.exhaustive
def test_a_pruned_file_is_smaller_and_sound(tmp_path):
    path = tmp_path / "bench.db"
    with Store.open(str(path), create=True) as store:
        for run_id, at in (("old", 10.0), ("new", 20.0)):
            measure(store, run_id, started_at=at, processes=60)
        store.database.outside_transaction("pragma wal_checkpoint(truncate)")
        before = path.stat().st_size
        prune.prune(store)
        prune.vacuum(store)
    assert path.stat().st_size < before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma freelist_count").fetchone() == (0,)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_prune_that_fails_removes_nothing(store, monkeypatch):
    measure(store, "old", started_at=10.0)
    measure(store, "new", started_at=20.0)
    before = exactly(store)

    def fail(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(summary, "refresh_all", fail)
    with pytest.raises(StoreError):
        prune.prune(store)
    assert exactly(store) == before
    monkeypatch.undo()
    assert prune.prune(store)["trial"] == 6
