"""Failures that the machine causes are no rows: the run ends with one line, and the next run measures the cell."""

import os
import signal
import sys
import time
from multiprocessing import forkserver
from multiprocessing.popen_forkserver import forkserver as starting

import pytest

from bench.failure import InfrastructureError, UsageError
from bench.run.run_trial import run_trial
from bench.worker import isolated as worker
from bench.worker import process
from bench.worker.entrance import serve
from bench.worker.outcome import Hindered, Started, unexpected
from bench.worker.task import Task
from tests.support.small_runs import CELL, run, sweep_of

SWEEP = """[measure]
processes = 1
max_processes = 1
rounds = 3
[[grid]]
problem = "spiral"
backend = "node"
solver = "dopri5"
horizon = 0.5
n_outputs = 2
rtol = 1e-3
atol = 1e-5
"""


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")


def dies_first(connection, task, log) -> None:
    os._exit(7)


def stays_silent(connection, task, log) -> None:
    time.sleep(1e3)


def cannot_import(connection, task, log) -> None:
    import bench

    del bench.worker.isolated
    sys.modules["bench.worker.isolated"] = None
    serve(connection, task, log)


def kills_the_forkserver(connection, task, log) -> None:
    connection.send(Started())
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1e3)


def cannot_log(connection, task, log) -> None:
    serve(connection, task, log.parent / "nowhere" / "log")


def fills_the_disk(connection, task, log) -> None:
    def measure(_):
        with open("/dev/full", "w") as full:
            full.write("x")

    worker._measure = measure
    serve(connection, task, log)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("serve_badly", "said"),
    [
        (dies_first, "it ended with exit code 7"),
        (stays_silent, "it was silent for 1 s"),
        (cannot_import, "import of bench.worker.isolated halted"),
        (cannot_log, "it cannot write its log"),
        pytest.param(
            fills_the_disk,
            "No space left",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full"),
        ),
    ],
)
def test_a_worker_that_the_machine_stops_ends_the_run_and_leaves_no_row(store, monkeypatch, serve_badly, said):
    sweep = sweep_of(CELL)
    with monkeypatch.context() as patch:
        patch.setattr(process, "serve", serve_badly)
        patch.setattr(process, "_PAUSE_S", 0.0)
        patch.setattr(process, "_START_S", 1.0 if serve_badly is stays_silent else 120.0)
        with pytest.raises(InfrastructureError, match=said) as raised:
            run(store, sweep)
        assert str(raised.value).isprintable()
    assert store.trials().empty
    assert list(store.runs()["state"]) == ["interrupted"]
    assert run(store, sweep)
    assert set(store.trials()["status"]) == {"ok"}


@pytest.mark.exhaustive
def test_a_worker_whose_forkserver_was_killed_leaves_no_row(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(process, "serve", kills_the_forkserver)
        with pytest.raises(InfrastructureError, match="the process that starts the workers was killed"):
            run(store, sweep_of(CELL))
    assert store.trials().empty
    assert run(store, sweep_of(CELL))
    assert set(store.trials()["status"]) == {"ok"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("error", [BlockingIOError(11, "Resource temporarily unavailable"), EOFError("unexpected EOF")])
def test_a_fork_that_is_refused_is_reported_in_one_line_with_exit_code_1(tmp_path, call, monkeypatch, error):
    (tmp_path / "mine.toml").write_text(SWEEP)
    command = ("run", str(tmp_path / "mine.toml"), "--db", str(tmp_path / "bench.db"))

    def refuse(_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(starting, "connect_to_new_process", refuse)
        patch.setattr(process, "_PAUSE_S", 0.0)
        code, _, err = call(*command)
        assert code == 1
        last = err.splitlines()[-1]
        assert last.startswith(f"nodebench: no worker could be started: {type(error).__name__}: ")
        assert "Traceback" not in err
    code, out, _ = call(*command)
    assert code == 0
    assert "5 trials measured" in out


@pytest.mark.exhaustive
def test_a_killed_forkserver_is_started_again():
    run_trial(Task(cell=CELL, kind="counts", timeout_s=60.0))
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    assert run_trial(Task(cell=CELL, kind="counts", timeout_s=60.0)).trial.status == "ok"


def test_a_start_that_fails_once_is_tried_again(monkeypatch):
    real, tried = starting.connect_to_new_process, []

    def refuse_once(fds):
        tried.append(fds)
        if len(tried) == 1:
            raise EOFError("unexpected EOF")
        return real(fds)

    monkeypatch.setattr(starting, "connect_to_new_process", refuse_once)
    assert run_trial(Task(cell=CELL, kind="counts", timeout_s=60.0)).trial.status == "ok"
    assert len(tried) == 2


def test_setting_the_wall_clock_during_a_trial_does_not_change_its_duration(monkeypatch):
    hours = iter(range(1_000))
    monkeypatch.setattr("bench.run.run_trial.time.time", lambda: 1e9 - 3600.0 * next(hours))
    assert 0 < run_trial(Task(cell=CELL, kind="counts", timeout_s=60.0)).trial.duration_s < 3000.0


def test_a_file_that_is_edited_under_a_trial_ends_the_run_and_the_trial_is_not_recorded(store, monkeypatch):
    checks = iter(["", "", "", "/home/me/mine.py"])  # of the block, then of each trial
    with monkeypatch.context() as patch:
        patch.setattr("bench.run.runner.changed_since_read", lambda: next(checks, "/home/me/mine.py"))
        with pytest.raises(InfrastructureError, match=r"mine[.]py was edited while it was measured"):
            run(store, sweep_of(CELL))
    assert list(store.trials()["kind"]) == ["counts", "accuracy"]
    assert list(store.runs()["state"]) == ["interrupted"]


def test_a_users_file_that_loads_in_no_worker_says_nothing_about_a_cell():
    answer = unexpected(UsageError("use: mine.py, line 2: RuntimeError: not here"))
    assert isinstance(answer, Hindered)
    assert "process of its own" in answer.remedy
