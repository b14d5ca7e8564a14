"""Trials that a full, limited or read-only disk does not take are spooled, and taken in later."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from results.store import Store
from tests.support.forked import PLAN, a_run
from tests.support.places import ROOT


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    """The user's state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


RECORDER = """
import resource, sys
sys.path.insert(0, {root!r})
from tests.support.forked import CELLS, a_trial
from results.store import Store
{trouble}
with Store.open({path!r}) as store:
    for index in range(9):
        store.record("run-1", a_trial(CELLS[0], index))
    print(len(store.spooled.files), store.spooled)
"""


def recorded_by_a_process(path: Path, trouble: str, *, as_root: bool = True) -> str:
    """The output of a process that runs the code `trouble` and then records nine trials, three of them large."""
    capabilities = "-dac_override,-dac_read_search"  # without these capabilities root obeys file permissions
    drop = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]
    program = RECORDER.format(root=str(ROOT), path=str(path), trouble=trouble)
    command = [*([] if as_root or os.geteuid() else drop), sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def begun(tmp_path) -> Path:
    path = tmp_path / "folder" / "bench.db"
    with Store.open(str(path), create=True) as store:
        store.begin(a_run("run-1"), PLAN)
    return path


def assert_all_nine_are_taken_in(path: Path) -> None:
    with Store.open(str(path), create=True) as store:
        assert sorted(store.trials()["process_index"]) == list(range(9))
        assert store.summary()["trials"].tolist() == [9]
        assert len(store.curves()) == 9
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_full_disk_loses_nothing(begun):
    """The kernel limits the size of each file to little more than the database's: small spooled files fit."""
    limit = begun.stat().st_size + 300_000
    said = recorded_by_a_process(begun, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    assert int(said.split()[0]) > 0
    assert f"trial(s) are in {begun}.spool, not in the database: {begun} cannot be written" in said
    assert_all_nine_are_taken_in(begun)


def test_a_database_that_may_not_grow_loses_nothing(begun):
    said = recorded_by_a_process(
        begun,
        "import sqlalchemy; sqlalchemy.event.listen(sqlalchemy.Engine, 'connect', "
        "lambda connection, _: connection.execute('pragma max_page_count=60'))",
    )
    assert int(said.split()[0]) > 0
    assert "database or disk is full): make room on its disk" in said
    assert_all_nine_are_taken_in(begun)


@pytest.mark.exhaustive
def test_a_read_only_folder_loses_nothing(begun, state):
    begun.chmod(0o444)
    begun.parent.chmod(0o555)
    said = recorded_by_a_process(begun, "pass", as_root=False)
    assert said.startswith("9 9 trial(s) are in")
    assert str(state) in said
    assert "readonly database" in said
    begun.parent.chmod(0o755)
    begun.chmod(0o644)
    assert_all_nine_are_taken_in(begun)
