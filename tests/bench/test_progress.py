"""The progress of a run: a whole line on a terminal of any width, plain lines anywhere else."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest

from bench.run.progress import Progress
from bench.worker.task import Task
from tests.support.small_runs import CELL, MEASURE

TASK = Task(cell=CELL, kind="timing", timeout_s=30.0, process_index=2)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture
def terminal(monkeypatch) -> Iterator[Callable[..., tuple[TextIO, Callable[[], str]]]]:
    """A function that makes a terminal of a width: its stream, and a function that reads what was written."""
    monkeypatch.setenv("TERM", "xterm")
    descriptors: list[int] = []

    def made(columns: int, encoding: str = "utf-8") -> tuple[TextIO, Callable[[], str]]:
        ours, theirs = pty.openpty()
        descriptors.append(ours)
        resize(theirs, columns)
        return open(theirs, "w", encoding=encoding), lambda: whole(ours).decode(encoding)

    yield made
    for descriptor in descriptors:
        os.close(descriptor)


def whole(terminal: int) -> bytes:
    """The bytes written to the terminal, which passes them on with a delay and possibly in parts."""
    parts = []
    while select.select([terminal], [], [], 0.3)[0]:
        parts.append(os.read(terminal, 1 << 16))
    return b"".join(parts)


def resize(descriptor: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def drawn(written: str) -> list[str]:
    """The lines that were drawn, each over the line before it."""
    assert "\n" not in written
    return [part.removesuffix("\x1b[K") for part in written.split("\r") if part]


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_the_line_is_whole_at_any_width_and_the_label_takes_what_remains(terminal, columns, clock):
    stream, written = terminal(columns)
    with stream:
        progress = Progress(stream)
        with progress.over(340, MEASURE):
            progress.finish(120)
            clock.now += 60.0
            progress.show(TASK)
            lines = drawn(written())
        assert drawn(written()) == [""]  # the line is erased at the end
    line = lines[-1]
    assert re.fullmatch(r"━+─+  120 of 340, 110 s left  timing 2 spiral .*…", line)
    assert len(line) == columns - 1
    assert CONTROL.search(line) is None


def test_the_line_fits_a_terminal_that_becomes_narrower(terminal):
    stream, written = terminal(200)
    with stream:
        progress = Progress(stream)
        with progress.over(340, MEASURE):
            progress.show(TASK)
            wide = drawn(written())[-1]
            assert wide.endswith(f"timing 2 {CELL.label}")
            resize(stream.fileno(), 20)
            progress.show(TASK)
            narrow = drawn(written())[-1]
    assert (narrow, len(wide) > 19) == ("0 of 340", True)


def test_a_terminal_of_ascii_has_a_bar_too(terminal):
    stream, written = terminal(60, "ascii")
    with stream:
        progress = Progress(stream)
        with progress.over(4, MEASURE):
            progress.finish(2)
            progress.show(TASK)
            line = drawn(written())[-1]
    assert re.match(r"######-----  2 of 4, \d+ s left  timing 2 .*\.\.\.$", line)
    assert len(line) == 59


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_log_has_a_line_per_block_and_a_line_per_half_minute(environment, monkeypatch, clock):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    log = io.StringIO()
    progress = Progress(log)
    with progress.over(40, MEASURE):
        for _ in range(100):
            clock.now += 1.0
            progress.show(TASK)
        progress.finish(30)
        clock.now += 5.0
        progress.finish(10)
    lines = log.getvalue().splitlines()
    assert [line.startswith("nodebench: ") for line in lines] == [True] * 5
    assert [": timing 2 spiral" in line for line in lines] == [True, True, True, False, False]
    assert lines[-2:] == ["nodebench: 30 of 40, 33 s left", "nodebench: 40 of 40, 0 s left"]
    assert CONTROL.search(log.getvalue()) is None


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_is_a_log(terminal, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    stream, written = terminal(80)
    with stream:
        progress = Progress(stream)
        with progress.over(4, MEASURE):
            progress.show(TASK)
            progress.finish(4)
        assert written().replace("\r\n", "\n") == "nodebench: 4 of 4, 0 s left\n"


def test_blocks_that_take_no_time_do_not_have_a_log_line_each(clock):
    log = io.StringIO()
    progress = Progress(log)
    with progress.over(1000, MEASURE):
        for _ in range(1000):
            clock.now += 0.01
            progress.finish(1)
    assert len(log.getvalue().splitlines()) == 10


def test_without_a_stream_nothing_is_printed(capfd):
    progress = Progress(None)
    with progress.over(4, MEASURE):
        progress.show(TASK)
        progress.finish(4)
    sys.stderr.flush()
    assert capfd.readouterr() == ("", "")


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("bench.run.progress.time.monotonic", lambda: made.now)
    return made
