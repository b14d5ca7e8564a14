"""Merging another database: each row comes in once, on every pair of engines, however often a merge is killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from results.engine.location import StoreError
from results.read.where import Where
from results.records import Sample
from results.schema.tables import metadata, trial
from results.store import Store
from results.tools import baselines
from results.tools.merge import _Merging, merge
from tests.support.stocked import CELLS, PLAN, a_run, a_trial, contents, counts, exactly, measure, stock


@pytest.fixture(params=["sqlite from sqlite", "sqlite from postgresql", "postgresql from sqlite"])
def pair(request, tmp_path):
    """Our database and theirs, on each engine and across engines."""
    ours, _, theirs = request.param.split()
    with ExitStack() as stack:
        urls = [request.getfixturevalue("server_url") if e == "postgresql" else str(tmp_path / f"{n}.db")
                for n, e in (("ours", ours), ("theirs", theirs))]  # fmt: skip
        yield tuple(stack.enter_context(Store.open(url, create=True)) for url in urls)


def test_an_empty_database_receives_every_row(pair):
    ours, theirs = pair
    stock(theirs)
    assert all(counts(theirs).values())
    merged = merge(ours, theirs)
    assert contents(ours, "lease") == contents(theirs, "lease")
    assert counts(ours)["lease"] == 0
    assert merged.rows == {
        n: c for n, c in counts(ours).items() if c and n not in ("nodebench", "summary", "baseline_trial")
    }


def test_rows_of_both_databases_are_there_once_and_all_others_too(pair):
    ours, theirs = pair
    stock(theirs, "a")
    stock(ours, "b")
    before = contents(ours)
    merge(ours, theirs)
    together = contents(ours)
    for table, rows in contents(theirs, "lease").items():
        assert set(together[table]) == {*before[table], *rows}, table
        assert len(together[table]) == len({*before[table], *rows}), table
    assert together["lease"] == before["lease"]


def test_merging_twice_changes_nothing(pair):
    ours, theirs = pair
    stock(theirs, "a")
    stock(ours, "b")
    merge(ours, theirs)
    before, source = exactly(ours), exactly(theirs)
    merged = merge(ours, theirs)
    assert exactly(ours) == before
    assert exactly(theirs) == source
    assert (merged.rows, merged.ended, list(merged.kept), list(merged.replaced)) == ({}, 0, [], [])


def test_merging_back_makes_both_equal(pair):
    ours, theirs = pair
    stock(theirs, "a")
    stock(ours, "b")
    merge(ours, theirs)
    merge(theirs, ours)
    assert contents(ours, "lease") == contents(theirs, "lease")


def test_a_run_that_continued_elsewhere_is_completed(pair):
    ours, theirs = pair
    theirs.begin(a_run("run"), PLAN)
    theirs.record("run", a_trial(started_at=1.0))
    merge(ours, theirs)
    theirs.record("run", a_trial(process_index=1, started_at=4.0))
    theirs.finish("run", state="complete")
    merged = merge(ours, theirs)
    assert merged.ended == 1
    assert merged.rows == {"trial": 1, "metric": 3, "sample": 3, "curve": 1}
    assert contents(ours) == contents(theirs)
    (wide,) = ours.summary().to_dict("records")
    assert (wide["trials"], wide["forward_s"]) == (2, 3.5)


def test_a_run_that_ended_here_does_not_become_running_again(pair):
    ours, theirs = pair
    theirs.begin(a_run("run"), PLAN)
    merge(ours, theirs)
    ours.finish("run", state="interrupted")
    merge(ours, theirs)
    assert list(ours.runs()["state"]) == ["interrupted"]


def test_two_baselines_of_one_name_are_a_conflict_and_keep_or_newer_decides(pair):
    ours, theirs = pair
    for store, name in ((ours, "o"), (theirs, "t")):
        measure(store, name, started_at=1.0)
        baselines.keep(store, "good", note=name)
        baselines.keep(store, name)
    before = exactly(ours)
    with pytest.raises(
        StoreError, match=r"have 1 row\(s\) of one key and other content \(baseline good\): nothing was"
    ):
        merge(ours, theirs)
    assert exactly(ours) == before
    merged = merge(ours, theirs, on_conflict="keep")
    assert list(merged.kept) == ["baseline good"]
    assert set(baselines.trials(ours, "good")["run_id"]) == {"o"}
    assert set(baselines.trials(ours, "t")["run_id"]) == {"t"}
    assert merge(ours, theirs, on_conflict="newer").replaced == ["baseline good"]
    assert set(baselines.trials(ours, "good")["run_id"]) == {"t"}
    assert merge(ours, theirs).kept == []


@pytest.mark.parametrize("more", ["ours", "theirs"])
def test_baselines_of_one_name_with_more_trials_are_a_conflict(pair, more):
    ours, theirs = pair
    measure(theirs, "run", started_at=1.0)
    merge(ours, theirs)
    baselines.keep(ours, "good")
    baselines.keep(theirs, "good")
    larger = {"ours": ours, "theirs": theirs}[more]
    larger.begin(a_run("later", started_at=2.0), PLAN)
    larger.record("later", a_trial(kind="memory"))
    baselines.keep(larger, "good", replace=True)
    assert list(merge(ours, theirs, on_conflict="keep").kept) == ["baseline good"]


def test_trials_that_started_together_keep_their_order(pair):
    ours, theirs = pair
    for run_id in ("z", "a", "m"):
        theirs.begin(a_run(run_id), PLAN)
        theirs.record(run_id, a_trial())
    merge(ours, theirs)
    assert list(ours.trials()["run_id"]) == list(theirs.trials()["run_id"]) == ["m"]


def test_more_trials_than_fit_into_a_part_are_all_merged(pair, monkeypatch):
    monkeypatch.setattr("results.tools.merge._CHUNK", 2)
    ours, theirs = pair
    stock(theirs)
    merge(ours, theirs)
    assert contents(ours, "lease") == contents(theirs, "lease")


def refused():
    return pytest.raises(StoreError, match="is the database that is merged into: pass another one")


@pytest.mark.parametrize("name", ["bench.db", "./bench.db", "sqlite:///bench.db", "link.db"])
def test_a_file_is_not_merged_into_itself(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("link.db").symlink_to("bench.db")
    with Store.open("bench.db", create=True) as ours, Store.open(name) as theirs, refused():
        merge(ours, theirs)


def test_a_server_is_not_merged_into_itself(server_url):
    other = server_url.replace("postgresql://", "postgresql+psycopg://")
    with Store.open(server_url, create=True) as ours, Store.open(other) as theirs, refused():
        merge(ours, theirs)


MERGER = """
import sys
from results.tools import merge
from results.store import Store
merge._CHUNK = 5
with Store.open(sys.argv[1], create=True) as ours, Store.open(sys.argv[2]) as theirs:
    print("open", flush=True)
    merge.merge(ours, theirs)
"""


def fill(store: Store, trials: int) -> None:
    stock(store)
    store.begin(a_run("long", started_at=40.0), PLAN)
    for index in range(trials):
        store.record("long", a_trial(CELLS[index % 3], process_index=index))
    baselines.keep(store, "all of it", run_start="long")


@pytest.mark.exhaustive
def test_a_killed_merge_can_be_repeated(url, tmp_path):
    """After each of eight kills there is nothing or all of it; a last merge gives what one undisturbed merge gives."""
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs:
        fill(theirs, 150)
    chance, seen = random.Random(0), []
    for _ in range(8):
        command = [sys.executable, "-c", MERGER, url, str(tmp_path / "theirs.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.25))
            os.kill(process.pid, signal.SIGKILL)
        with Store.open(url) as ours:
            found = counts(ours)
            seen.append(found["trial"])
            assert (found["metric"], found["sample"]) == whole(ours)
    assert set(seen) <= {0, seen[-1]}, seen  # nothing of it, or all
    with Store.open(url) as ours, Store.open(str(tmp_path / "theirs.db")) as theirs:
        merge(ours, theirs)
        with Store.open(str(tmp_path / "undisturbed.db"), create=True) as undisturbed:
            merge(undisturbed, theirs)
            assert contents(ours) == contents(undisturbed)


def whole(store: Store) -> tuple[int, int]:
    """The numbers of metrics and samples that the trials of the store must have."""
    with store.database.reading() as connection:
        measured = len(connection.execute(select(trial.c.id).where(trial.c.status == "ok")).all())
    return 3 * measured, 3 * measured


def test_a_recorder_loses_nothing_while_another_database_is_merged(url, tmp_path, monkeypatch):
    """On a server recording continues: after each part the merge waits for a trial. On a file the recorder waits."""
    monkeypatch.setattr("results.tools.merge._CHUNK", 20)
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs, Store.open(url, create=True) as ours:
        fill(theirs, 300)
        ours.begin(a_run("live"), PLAN)
        ended, recorded = threading.Event(), []

        def record() -> None:
            with Store.open(url) as own:
                while not ended.is_set():
                    own.record("live", a_trial(process_index=len(recorded)))
                    assert not own.spooled.files
                    recorded.append(time.monotonic())
                    time.sleep(0.01)  # the duration of a measurement

        def take_and_wait(merging, part):
            take(merging, part)
            before, deadline = len(recorded), time.monotonic() + 60
            while len(recorded) == before and not ours.database.is_file:
                assert recorder.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.001)

        take = _Merging._take_trials
        monkeypatch.setattr(_Merging, "_take_trials", take_and_wait)
        recorder = threading.Thread(target=record)
        recorder.start()
        try:
            merge(ours, theirs)
            while not recorded:
                assert recorder.is_alive()
        finally:
            ended.set()
            recorder.join()
        assert len(recorded) >= (1 if ours.database.is_file else 300 / 20)
        assert len(ours.trials(Where(run_id="live"))) == len(recorded)
        assert set(contents(theirs, "lease")["trial"]) <= set(contents(ours)["trial"])


def test_nothing_is_pruned_during_a_merge(server_url, tmp_path, monkeypatch):
    """On a server prune waits for a merge, as it waits for a run that begins."""
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs, Store.open(server_url, create=True) as ours:
        fill(theirs, 3)

        def try_to_prune(merging, part):
            with ours.database.writing() as connection, pytest.raises(OperationalError, match="could not obtain lock"):
                connection.exec_driver_sql("lock table sweep in share row exclusive mode nowait")
            take(merging, part)

        take = _Merging._take_trials
        monkeypatch.setattr(_Merging, "_take_trials", try_to_prune)
        assert merge(ours, theirs).rows["trial"] == len(theirs.trials(newest=False))


def test_an_infinite_number_and_a_long_note_cross_engines(pair):
    ours, theirs = pair
    theirs.begin(a_run("run"), PLAN)
    odd = replace(
        a_trial(), metrics={"error": float("inf")}, samples={"forward_s": [Sample(0, 0, 5e-324)]}, reason="é" * 9999
    )
    theirs.record("run", odd)
    merge(ours, theirs)
    assert contents(ours) == contents(theirs)


def test_all_tables_but_three_are_merged():
    moved = {"sweep", "environment", "cell", "run", "planned", "trial", "metric", "sample", "curve", "reference",
             "noise_floor", "baseline", "baseline_trial", "annotation", "source"}  # fmt: skip
    assert set(metadata.tables) - moved == {"nodebench", "lease", "summary"}
