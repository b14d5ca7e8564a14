"""A database that is removed, replaced or damaged during a run: the trials are saved, and a notice says where."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from results.engine.location import UnwritableError
from results.records import NoiseFloor
from results.store import Store
from results.tools.merge import merge
from tests.support.forked import CELLS, PLAN, a_run, a_trial

BEFORE, AFTER = 4, 4  # trials that are recorded before and after the file is taken away


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "nodebench"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "out" / "bench.db"


def checkpoint(path: Path) -> None:
    """Move the whole content from the -wal file into the file itself."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma wal_checkpoint(truncate)")


def remove_all(path: Path) -> None:
    for found in path.parent.iterdir():
        found.unlink()


def another(path: Path, name: str = "another.db") -> Path:
    with Store.open(str(path.with_name(name)), create=True) as store:
        store.begin(a_run("another"), PLAN)
    return path.with_name(name)


def record_while(path: Path, taken: Callable[[Path], object]) -> Store:
    """The closed store of a run whose database was taken away between two trials."""
    with Store.open(str(path), create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        for index in range(BEFORE):
            store.record("run-1", a_trial(CELLS[0], index))
        taken(path)
        for index in range(BEFORE, BEFORE + AFTER):
            store.record("run-1", a_trial(CELLS[0], index))
        store.finish("run-1", state="complete")
    return store


def assert_whole(path: Path) -> None:
    with Store.open(str(path)) as store:
        assert sorted(store.trials()["process_index"]) == list(range(BEFORE + AFTER))
        assert "complete" in set(store.runs()["state"])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


TAKEN: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "removed when it was checkpointed": lambda path: (checkpoint(path), path.unlink()),
    "removed with its -wal file": remove_all,
    "removed with its folder": lambda path: shutil.rmtree(path.parent),
    "renamed": lambda path: path.rename(path.with_name("other.db")),
    "renamed with its folder": lambda path: path.parent.rename(path.parent.with_name("other")),
    "without its -wal file": lambda path: path.with_name("bench.db-wal").unlink(),
    "without its -shm file": lambda path: path.with_name("bench.db-shm").unlink(),
}


@pytest.mark.parametrize("how", TAKEN)
def test_a_database_that_was_taken_away_is_restored_whole(path, how):
    store = record_while(path, TAKEN[how])
    (notice,) = store.notices
    assert notice.startswith(f"{path} was removed" if "without" not in how else f"{path} has lost its -wal or its -shm")
    assert notice.endswith("while it was written: it was restored, and nothing is lost")
    assert store.database.moved_to is None
    assert_whole(path)
    assert [found.name for found in path.parent.iterdir() if found.name != "other.db"] == ["bench.db"]


REPLACED: dict[str, Callable[[Path], object]] = {
    "by a database": lambda path: another(path).replace(path),
    "by a database that was opened": lambda path: (path.unlink(), another(path, path.name)),
    "by another kind of file": lambda path: (path.unlink(), path.write_text("notes")),
    "by a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", REPLACED)
def test_what_was_written_to_a_replaced_database_is_in_a_file_beside_it(path, how):
    store = record_while(path, REPLACED[how])
    (notice,) = store.notices
    rescued = store.database.moved_to
    assert rescued.parent == path.parent
    assert f"{path} was replaced by another file while it was written" in notice
    assert notice.endswith(f"is in {rescued}, a database as any other: nodebench db merge {rescued} --db {path}")
    assert_whole(rescued)
    if "database" in how:
        with Store.open(str(path), create=True) as ours, Store.open(str(rescued), as_it_is=True) as theirs:
            assert ours.runs()["run_id"].tolist() == ["another"]
            merge(ours, theirs)
            assert len(ours.trials()) == BEFORE + AFTER


def test_a_database_whose_folder_cannot_be_made_again_is_saved_in_the_users_state_folder(path, state):
    store = record_while(path, lambda path: (shutil.rmtree(path.parent), path.parent.write_text("in the way")))
    assert store.database.moved_to.parent == state / "rescued"
    assert str(store.database.moved_to) in store.notices[0]
    assert_whole(store.database.moved_to)


def test_the_trials_of_two_runs_on_one_removed_database_are_saved_in_two_files(path):
    with Store.open(str(path), create=True) as one, Store.open(str(path), create=True) as two:
        one.begin(a_run("run-1"), PLAN)
        two.begin(a_run("run-2"), PLAN)
        two.record("run-2", a_trial(CELLS[0], 0))
        path.unlink()
        one.record("run-1", a_trial(CELLS[0], 1))
        two.record("run-2", a_trial(CELLS[0], 2))
        assert sorted(one.trials(newest=False)["process_index"]) == [0, 1]
        assert sorted(two.trials(newest=False)["process_index"]) == [0, 2]
    with Store.open(str(path), create=True) as ours, Store.open(str(two.database.moved_to), as_it_is=True) as theirs:
        merge(ours, theirs)
        assert sorted(ours.trials(newest=False)["process_index"]) == [0, 1, 2]


def overwrite(path: Path) -> None:
    """Overwrite the content of the file, which stays the same file, as cp does."""
    shutil.copyfile(another(path), path)


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "emptied": (lambda path: os.truncate(path, 0), "was cut short while it was written"),
    "cut": (lambda path: os.truncate(path, 3 * 4096), "malformed"),
    "overwritten": (overwrite, "has lost run run-1: it was overwritten while it was written"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_trials_for_a_damaged_database_are_spooled_and_taken_in_by_a_new_one(path, how):
    damage, said = DAMAGED[how]
    with Store.open(str(path), create=True) as store:
        store.begin(a_run("run-1"), PLAN)
        for index in range(BEFORE):
            store.record("run-1", a_trial(CELLS[0], index))
        checkpoint(path)
        damage(path)
        for index in range(AFTER):
            store.record("run-1", a_trial(CELLS[index], index))
        assert len(store.spooled.files) == AFTER
        assert said in str(store.spooled)
        with pytest.raises(UnwritableError, match=str(path)):
            store.finish("run-1", state="complete")
        with pytest.raises(UnwritableError):
            store.record_floors("run-1", [NoiseFloor(CELLS[0].key, "forward_s", 1.0, 0.9, 1.1, 8)])
        with pytest.raises(UnwritableError):
            store.lease(a_run("run-1"), longest_s=1.0).take([CELLS[0].key])
    remove_files_of(path)
    with Store.open(str(path), create=True) as store:
        (notice,) = store.notices
        assert f"{AFTER} spooled trial(s) taken in" in notice
        assert sorted(store.trials()["process_index"]) == list(range(AFTER))
        assert len(store.planned()) == len(PLAN)
    assert not path.with_name("bench.db.spool").exists()


def remove_files_of(path: Path) -> None:
    for found in path.parent.glob("*.db*"):
        if found.is_file():
            found.unlink()


def test_recording_continues_in_a_database_that_another_process_has_made_smaller(path):
    def prune(path: Path) -> None:
        checkpoint(path)
        with closing(sqlite3.connect(path)) as other:
            other.execute("delete from curve")
            other.commit()
            other.execute("vacuum")
        checkpoint(path)

    store = record_while(path, prune)
    assert store.notices == ()
    assert_whole(path)


SWEEP = """
[measure]
processes = 2
max_processes = 2
rounds = 3

[[grid]]
problem = "spiral"
backend = "node"
solver = ["bosh3", "dopri5"]
rtol = 1e-3
atol = 1e-5
n_outputs = 2
"""


def trials_in(path: Path) -> int:
    """The number of trials, read outside the run's process; 0 as long as there is no table."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("select count(*) from trial").fetchone()[0])
    except sqlite3.Error:
        return 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("replaced", [False, True])
def test_a_run_whose_database_is_taken_away_loses_none_of_it(tmp_path, path, replaced):
    """A real run in another process."""
    (tmp_path / "small.toml").write_text(SWEEP)
    command = [sys.executable, "-m", "bench", "run", "small.toml", "--db", "out/bench.db"]
    with subprocess.Popen(
        command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as run:
        try:
            deadline = time.monotonic() + 300
            while trials_in(path) < 2:
                assert time.monotonic() < deadline, "too few trials in time"
                assert run.poll() is None, run.communicate()
                time.sleep(0.02)
            path.unlink()
            if replaced:
                another(path, path.name)
            out, err = run.communicate(timeout=300)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == (1 if replaced else 0), err
    measured = int(out.split(": ")[1].split()[0])
    assert measured > 2
    (said,) = [line for line in err.splitlines() if "while it was written" in line]
    if replaced:
        merging = said.rpartition(": nodebench ")[2].split()
        subprocess.run([sys.executable, "-m", "bench", *merging], cwd=tmp_path, check=True, capture_output=True)
    else:
        assert said == "nodebench: out/bench.db was removed while it was written: it was restored, and nothing is lost"
    assert trials_in(path) == measured
