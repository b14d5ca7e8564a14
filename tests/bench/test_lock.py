"""Runs on one machine take turns: real processes that finish, fail, are killed or are interrupted."""

import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.machine.lock import turn

MEASURE = """
import os, sys
from pathlib import Path
from bench.machine.lock import turn
os.umask(0o077)
try:
    with turn(sys.argv[1], lambda line: print(line, flush=True), places=[Path(sys.argv[2])]):
        print("measuring", flush=True)
        if sys.stdin.readline() == "fail\\n":
            raise ValueError
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    """A function that starts a process, which measures until it reads a line."""
    started: list[subprocess.Popen[str]] = []

    def start(what: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MEASURE, what, str(tmp_path)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def rest(process: subprocess.Popen[str], say: str = "done\n") -> list[str]:
    return process.communicate(say, timeout=20)[0].splitlines()


def test_the_second_run_waits_and_says_once_who_measures(start):
    first = start("smoke")
    assert line(first) == "measuring"
    second = start("adaptive")
    notices = line(second)
    assert re.fullmatch(
        rf"process {first.pid} has been measuring smoke since \d\d:\d\d:\d\d on this machine: .*", notices
    )
    assert "Ctrl-C" in notices
    assert rest(first) == []
    assert rest(second) == ["measuring"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_killed_leaves_the_machine_to_the_next(start, end):
    first = start("smoke")
    assert line(first) == "measuring"
    second = start("adaptive")
    assert "smoke" in line(second)
    first.send_signal(end)
    assert line(second) == "measuring"
    third = start("spiral")
    assert f"process {second.pid} has been measuring adaptive" in line(third)


def test_a_run_that_fails_leaves_the_machine_to_the_next(start):
    first = start("smoke")
    assert line(first) == "measuring"
    rest(first, "fail\n")
    second = start("adaptive")
    assert line(second) == "measuring"


@pytest.mark.exhaustive
def test_waiting_can_be_given_up_and_disturbs_nobody(start):
    first = start("smoke")
    assert line(first) == "measuring"
    second = start("adaptive")
    assert "smoke" in line(second)
    second.send_signal(signal.SIGINT)
    assert rest(second) == ["interrupted"]
    third = start("spiral")
    assert f"process {first.pid} has been measuring smoke" in line(third)
    assert rest(first) == []
    assert rest(third) == ["measuring"]


def test_the_lock_and_the_holders_file_can_be_written_by_every_user(start, tmp_path):
    first = start("smoke")
    assert line(first) == "measuring"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"nodebench.lock": 0o666, "nodebench.measuring": 0o666}


def test_a_holders_file_that_cannot_be_read_is_called_another_process(start, tmp_path):
    first = start("smoke")
    assert line(first) == "measuring"
    (tmp_path / "nodebench.measuring").write_text("{")
    assert "another process is measuring on this machine" in line(start("adaptive"))


def test_where_nothing_can_be_locked_a_run_measures_and_says_so(tmp_path):
    notices: list[str] = []
    with turn("smoke", notices.append, places=[Path(__file__), tmp_path / "nowhere"]):
        assert ["cannot see whether another run measures here" in one for one in notices] == [True]


def test_where_the_first_place_cannot_be_written_the_second_is_taken(tmp_path):
    notices: list[str] = []
    with turn("smoke", notices.append, places=[Path(__file__), tmp_path]):
        assert notices == []
        assert "smoke" in (tmp_path / "nodebench.measuring").read_text()
