"""The command line from a sweep to the page, and one clear line for every mistake."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest

from bench.machine.lock import turn
from results.store import Store, StoreError

SWEEP = """
title = "Small"
study = "adaptive"

[measure]
processes = 1
max_processes = 1
rounds = 2

[[grid]]
problem = "spiral"
backend = ["node", "torchdiffeq"]
solver = ["bosh3", "dopri5"]
"rtol,atol" = [[1e-3, 1e-5], [1e-4, 1e-6]]
n_outputs = 2
device = ["cpu", "cuda:99"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SWEEP)
    return tmp_path


def start(folder, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300  # a run of another test may be measuring on this machine
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.05)


def processes_of(session: int) -> list[psutil.Process]:
    """Every process that is alive in the session, whatever group it has made for itself."""
    alive = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(ProcessLookupError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == session:
                alive.append(process)
    return alive


def recorded(folder) -> dict[str, int]:
    """The number of successful trials of each cell; empty before the run has made its database."""
    try:
        with Store.open(str(folder / "out/bench.db")) as store:
            trials = store.trials()
    except StoreError:
        return {}
    return {key: len(group) for key, group in trials[trials["status"] == "ok"].groupby("cell_key")}


def trials_of(folder) -> list[tuple[str, str, int]]:
    """(cell, kind, process) of every successful trial, in every run."""
    with closing(sqlite3.connect(folder / "out/bench.db")) as connection:
        return connection.execute(
            "select cell_key, kind, process_index from trial where status = 'ok' order by 1, 2, 3"
        ).fetchall()


def test_a_small_sweep_is_measured_and_shown_on_the_page(folder, call):
    code, out, _ = call("run", "small.toml")
    assert code == 0
    assert re.search(r"33 trials measured in \d+ s \(\d+ ms a trial for its process\), 0 to do", out)
    assert "8 cells ok, 8 cells unavailable" in out
    code, out, _ = call("report")
    assert code == 0
    page = (folder / "out/report/index.html").read_text()
    assert "report: out/report/index.html" in out
    keys = list(recorded(folder))
    assert len(keys) == 8
    for key in keys:
        assert f'id="{key}"' in page
    assert "no CUDA device here" in page or "no device cuda:99" in page

    code, out, _ = call("run", "small.toml")
    assert code == 0
    assert "0 trials measured" in out

    code, out, _ = call("plan", "small.toml")
    assert code == 0
    assert "Small: 16 cells, 16 done in out/bench.db, 8 cannot be measured here" in out
    assert keys[0] in out

    code, out, _ = call("show", keys[0][:8])
    assert code == 0
    for known in ("nfe_forward", "peak_bytes", "error_final", "forward_s", keys[0]):
        assert known in out


@pytest.mark.exhaustive
def test_a_run_killed_with_its_children_is_continued_where_it_stopped(folder, call):
    run = start(folder, "run", "small.toml")
    wait_for(lambda: sum(recorded(folder).values()) >= 5)
    for process in processes_of(run.pid):
        process.kill()
    run.communicate()
    before = recorded(folder)
    assert 5 <= sum(before.values()) < 33
    kept = trials_of(folder)
    code, out, _ = call("run", "small.toml")
    assert code == 0
    assert "0 to do" in out
    after = trials_of(folder)
    assert set(kept) <= set(after)
    assert len(after) == len(set(after))
    kinds = [(key, kind) for key, kind, _ in after]
    for key in {key for key, _ in kinds}:
        assert {kind for of, kind in kinds if of == key} >= {"counts", "accuracy", "memory", "timing"}
    assert all(kinds.count(one) == 1 for one in kinds if one[1] not in ("timing", "twin"))


def test_ctrl_c_ends_cleanly_and_says_how_to_continue(folder):
    (folder / "long.toml").write_text(SWEEP.replace("rounds = 2", "rounds = 1000"))  # it does not end before the signal
    run = start(folder, "run", "long.toml")
    wait_for(lambda: sum(recorded(folder).values()) >= 3)
    os.kill(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "run the same command again" in out
    assert "Traceback" not in out + err
    with Store.open(str(folder / "out/bench.db")) as store:
        assert list(store.runs()["state"]) == ["interrupted"]
    wait_for(lambda: not processes_of(run.pid))


@pytest.mark.exhaustive
def test_of_two_runs_on_the_machine_one_waits_for_the_other_and_measures_nothing_again(folder):
    """Both wait for this test, which holds the machine's lock; then one waits for the other."""
    with turn("a test", print):
        runs = [start(folder, "run", "small.toml") for _ in range(2)]
        waiting = [run.stderr.readline() for run in runs]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    for line in waiting:
        assert line.startswith(f"nodebench: process {os.getpid()} has been measuring a test since")
    assert sorted(out.partition(" trials measured")[0] for out in outputs) == ["small: 0", "small: 33"]
    assert len(trials_of(folder)) == 33


@pytest.mark.exhaustive
def test_a_database_that_is_locked_during_a_run_is_reported_in_one_line_with_exit_code_1(folder, call, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.1)
    monkeypatch.setattr("results.engine.database.IMPATIENCE_S", 0.05)
    (folder / "small.toml").write_text(SWEEP.replace(', "cuda:99"', "").replace('"bosh3", ', ""))
    with Store.open(str(folder / "out/bench.db"), create=True):
        pass
    other, begin = sqlite3.connect(folder / "out/bench.db"), Store.begin

    def begin_and_lose(self: Store, *arguments: object) -> None:
        begin(self, *arguments)
        other.execute("begin immediate")

    monkeypatch.setattr(Store, "begin", begin_and_lose)
    code, out, err = call("run", "small.toml", "--quiet")
    other.close()
    monkeypatch.setattr(Store, "begin", begin)
    assert code == 1
    assert "17 trials measured" in out
    (line,) = [line for line in err.splitlines() if line.startswith("nodebench:") and "measuring" not in line]
    assert "17 trial(s) are in out/bench.db.spool, not in the database" in line
    assert "wait for the process that uses it; then run the same command again: it takes them in" in line
    code, out, err = call("run", "small.toml", "--quiet")
    assert code == 0
    assert "0 trials measured" in out
    assert "17 spooled trial(s) taken in from out/bench.db.spool to out/bench.db" in err


@pytest.mark.parametrize("registry", ["problems", "solvers", "backends", "gradients", "sweeps"])
def test_each_registry_is_listed_with_one_line_per_entry(call, registry):
    code, out, _ = call("list", registry)
    assert code == 0
    expected = {"problems": "lotka_volterra", "solvers": "dopri8", "backends": "torchdiffeq", "gradients": "adjoint"}
    assert re.search(rf"^{expected.get(registry, 'default')} ", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "smal"), "unknown sweep 'smal'"),
        (("run", "missing.toml"), "unknown sweep 'missing.toml'"),
        (("run", "typo.toml"), "typo.toml: grid 1, solver: unknown solver 'dopri55'. Did you mean 'dopri5'?"),
        (("run", "broken.toml"), "broken.toml: not TOML"),
        (
            ("run", "large.toml"),
            "large.toml: grid 1, seed: 3000000000 does not do: input should be less than or equal to",
        ),
        (
            ("run", "small.toml", "--only", "solver=dopri55"),
            "only: no cell has solver='dopri55'. Did you mean 'dopri5'?",
        ),
        (("plan", "small.toml", "--only", "solvr=dopri5"), "only: unknown field 'solvr'. Did you mean 'solver'?"),
        (("show", "abc", "solver=dopri5", "--db", "missing.db"), "no database at missing.db"),
        (("report", "--table", "a.xls", "--db", "missing.db"), "no database at missing.db"),
        (("figure", "a/b"), "figure a/b: the file is missing: pass -o with a .pdf, .svg or .png file"),
        (("figure", "-o", "a.pdf"), "figure -o a.pdf: NAME is missing: nodebench figure lists the names"),
        (("plan", "typo.toml"), "typo.toml: grid 1, solver: unknown solver 'dopri55'"),
        (("run", "small.toml", "--db", "foreign.db"), "foreign.db is not an SQLite database"),
        (("run", "small.toml", "--db", "/proc/nowhere/bench.db"), "/proc/nowhere/bench.db"),
        (("report", "--db", "missing.db"), "no database at missing.db"),
        (("report", "--db", "foreign.db"), "foreign.db is not an SQLite database"),
        (("show", "abc", "--db", "missing.db"), "no database at missing.db"),
    ],
)
def test_a_mistake_is_refused_in_one_line_with_exit_code_2_and_nothing_is_written(folder, call, arguments, said):
    (folder / "typo.toml").write_text(SWEEP.replace("dopri5", "dopri55"))
    (folder / "large.toml").write_text(SWEEP + "seed = [1, 3_000_000_000]")
    (folder / "broken.toml").write_text("nonsense = [")
    (folder / "foreign.db").write_text("this is no database")
    before = sorted(path.name for path in folder.iterdir())
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.exhaustive
@pytest.mark.parametrize(("options", "expected"), [([], 0), (["--strict"], 1)])
def test_the_last_lines_name_what_failed_and_only_strict_makes_it_an_exit_code(folder, call, options, expected):
    few = SWEEP.replace(', "torchdiffeq"', "").replace('"bosh3", ', "")
    (folder / "hasty.toml").write_text(few.replace("[measure]", "[measure]\ntimeout_s = 1e-3"))
    for _ in range(2):  # measured in this run, then before it: a failure stays a failure
        code, out, err = call("run", "hasty.toml", "--quiet", *options)
        assert code == expected
        assert " left" not in err  # no progress
        lines = out.splitlines()
        assert lines[1] == "2 cells timeout, 2 cells unavailable"
        key = re.fullmatch(r"failed \(timeout\): (\w+) and 1 more  spiral node dopri5 .* cpu", lines[2])[1]
        assert lines[3:] == [
            f"nodebench show {key} tells all that is known of the first",
            "nodebench run hasty.toml --again failed measures what failed again",
            "nodebench report writes the page, out/report/index.html",
        ]
    assert call("show", key)[0] == 0


@pytest.mark.exhaustive
def test_what_cannot_be_measured_here_is_no_failure(folder, call):
    (folder / "elsewhere.toml").write_text(SWEEP.replace('"cpu", ', ""))
    code, out, _ = call("run", "elsewhere.toml", "--strict")
    assert code == 0
    assert "8 cells unavailable" in out
    assert "failed" not in out
