"""SIGINT, SIGTERM and SIGHUP: at any moment and however often, one line and the signal's exit code."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

from results.store import Store, StoreError
from tests.support.places import ROOT

SAID = {
    signal.SIGINT: "nodebench: interrupted\n",
    signal.SIGTERM: "nodebench: interrupted by SIGTERM\n",
    signal.SIGHUP: "nodebench: interrupted by SIGHUP\n",
}
SWEEP = """
[measure]
processes = 1
max_processes = 1
rounds = 10_000
sampling_s = 1000.0

[[grid]]
problem = "spiral"
backend = "node"
solver = "dopri5"
"rtol,atol" = [[1e-3, 1e-5], [1e-4, 1e-6]]
n_outputs = 2
"""

# The command line, with a signal that comes twice at a moment of our choice.
CALLED = """
import atexit, os, signal, sys

def press(*_):
    for _ in range(2):
        os.kill(os.getpid(), {number})

{moment}
from bench.main import main
sys.argv[1:] = {arguments}
main()
"""
IMPORTING = """
class Finder:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(Finder)
            press()
sys.meta_path.insert(0, Finder)
"""
LAST_LINES = "import bench.answers.columns as printed; printed.columns = press"
IN_FINALISER = """
class Finalised:
    def __del__(self):
        press()
import bench.answers.columns as printed
columns = printed.columns
def columns_and_collected(*rows):
    Finalised()
    return columns(*rows)
printed.columns = columns_and_collected
"""
EXIT = "atexit.register(press)"


def answer_ctrl_c() -> None:
    """Let a new process answer Ctrl-C even if this test was started in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def called(moment: str, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = CALLED.format(moment=moment, number=int(number), arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120, preexec_fn=answer_ctrl_c
    )


@pytest.mark.parametrize("number", SAID)
@pytest.mark.parametrize("module", ["typer", "bench.answers.reading", "sqlalchemy"])
def test_a_signal_while_modules_load_is_reported_in_one_line(number, module, tmp_path):
    done = called(IMPORTING.format(module=module), number, "show", "abc", "--db", str(tmp_path / "missing.db"))
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", SAID[number])


@pytest.mark.parametrize("number", SAID)
def test_a_signal_before_the_handlers_are_set_ends_the_process_silently(number):
    """A shell reports the same exit code then."""
    moment = IMPORTING.format(module="bench.interrupt")
    done = called(f"{moment}\nfrom bench.__main__ import main\nsys.argv[1:] = ['--version']\nmain()", number)
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


@pytest.mark.parametrize("moment", [LAST_LINES, IN_FINALISER], ids=["while it prints", "in a finaliser"])
def test_a_signal_while_the_answer_is_printed_is_reported_in_one_line(moment):
    done = called(moment, signal.SIGINT, "list", "sweeps")
    assert (done.returncode, done.stderr) == (130, SAID[signal.SIGINT])


def test_a_signal_at_exit_changes_nothing():
    done = called(EXIT, signal.SIGINT, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nodebench ")


def test_a_signal_that_the_parent_process_has_ignored_stays_ignored():
    """Commands under nohup or in the background of a shell are started so."""
    code = """
import os, signal
from bench.interrupt import SIGNALS, Ending, Interrupt
for number in SIGNALS:
    signal.signal(number, signal.SIG_IGN)
Ending().begin()
with Interrupt() as interrupt:
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    interrupt.check()
print("goes on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\n", "")


def states(database: Path) -> tuple[int, list[str]]:
    """The number of successful trials and the states of the runs; (0, []) before the database exists."""
    try:
        with Store.open(str(database)) as store:
            return int((store.trials()["status"] == "ok").sum()), list(store.runs()["state"])
    except StoreError:
        return 0, []


def wait_for_trials(database: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while states(database)[0] < count:
        assert time.monotonic() < deadline, "too few trials in time"
        time.sleep(0.1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", SAID)
def test_a_run_that_is_interrupted_five_times_says_once_that_nothing_is_lost(number, tmp_path):
    (tmp_path / "long.toml").write_text(SWEEP)
    run = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "long.toml", "--quiet"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=answer_ctrl_c,
    )
    wait_for_trials(tmp_path / "out/bench.db", 6)
    for _ in range(5):
        os.killpg(run.pid, number)
        time.sleep(0.02)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 128 + number
    assert [
        line for line in err.splitlines() if "been measuring" not in line
    ] == []  # it may wait for the run of another test
    assert out.endswith("interrupted: nothing measured is lost; run the same command again to go on\n")
    assert states(tmp_path / "out/bench.db") == (6, ["interrupted"])


def server_of(run: psutil.Process) -> psutil.Process | None:
    """The forkserver of the run's workers; None before it has started."""
    for child in run.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # another child, such as git, that has ended
            if "forkserver" in " ".join(child.cmdline()):
                return child
    return None


def test_a_forkserver_that_is_still_loading_does_not_keep_a_reader_waiting(tmp_path):
    (tmp_path / "long.toml").write_text(SWEEP)
    run = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "long.toml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=answer_ctrl_c,
    )
    while (server := server_of(psutil.Process(run.pid))) is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGINT
    with contextlib.suppress(psutil.NoSuchProcess):  # its end of the pipe is closed a moment before it is gone
        deadline = time.monotonic() + 1
        while server.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline


@pytest.mark.exhaustive
def test_a_run_whose_terminal_is_closed_keeps_what_it_has_measured(tmp_path):
    (tmp_path / "long.toml").write_text(SWEEP)
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "long.toml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    wait_for_trials(tmp_path / "out/bench.db", 6)
    os.close(ours)
    assert run.wait(timeout=120) == 128 + signal.SIGHUP
    assert states(tmp_path / "out/bench.db") == (6, ["interrupted"])
