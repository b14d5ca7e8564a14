"""A run in its own process: it is started, observed from outside, interrupted, and awaited."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from interruption import ENDING, Interruption, PlannedSignal, Since

import bench

_TREE = str(Path(bench.__file__).parents[1])
_POLL_S = 0.01
_PATIENCE_S = 300.0  # for a run that should end
_FOLLOW_S = 60.0  # for the run's descendants to end after it
_LAST = re.compile(r"^nodebench: (\d+) of \1, ", re.MULTILINE)  # its last progress line


@dataclass(frozen=True)
class Place:
    """A folder that contains all that its runs write."""

    folder: Path

    @property
    def temporary(self) -> Path:
        """The folder of the runs' temporary folders."""
        return self.folder / "t"

    @property
    def state(self) -> Path:
        """The folder in which a run spools what it cannot write beside its database."""
        return self.folder / "state"

    def made(self) -> "Place":
        """The place, with its folders made."""
        for path in (self.temporary, self.state):
            path.mkdir(parents=True, exist_ok=True)
        return self

    def processes(self) -> list[psutil.Process]:
        """The living processes of the runs that were started here."""
        return [process for process in psutil.process_iter() if _temporary(process).startswith(str(self.temporary))]


@dataclass
class Seen:
    """The times at which the stages of a run were first seen, in seconds since its start."""

    at_s: dict[Since, float] = field(default_factory=dict)
    ended_s: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A signal that has reached a living process."""

    blow: PlannedSignal
    at: float  # seconds since the epoch
    heard: bool  # whether the run had installed its signal handlers by then


@dataclass(frozen=True)
class Ended:
    """The end of a run: its exit code, its output, and what was seen of it."""

    code: int
    out: str
    err: str
    pid: int
    seen: Seen
    sent: tuple[Sent, ...] = ()
    left: tuple[str, ...] = ()  # its descendants that did not end in time
    followed_s: float = 0.0  # seconds after the run until the last of its processes had ended

    @property
    def numbers(self) -> set[signal.Signals]:
        """The signals that were sent."""
        return {sent.blow.number for sent in self.sent}


def called(place: Place, *arguments: str, what: Interruption | None = None, expected: Seen | None = None) -> Ended:
    """Run `nodebench` with these arguments to its end, interrupted unless it ends before that."""
    out, err = place.folder / "out.txt", place.folder / "err.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([_TREE, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "TMPDIR": str(place.temporary),
        "XDG_STATE_HOME": str(place.state),
    }
    with out.open("w") as out_file, err.open("w") as err_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            process_group=0,  # as a shell does with a job
            preexec_fn=_answer_all,
        )
    watch = _Watch(process, place, err)
    try:
        sent = _awaited(watch, what, expected)
    except BaseException:  # Ctrl-C in our terminal does not reach the run
        os.killpg(process.pid, signal.SIGKILL)
        raise
    left, followed_s = _followed(place)  # before the output is read, so that theirs is in it
    return Ended(
        process.returncode, out.read_text(), err.read_text(), process.pid, watch.seen, tuple(sent), left, followed_s
    )


class _Watch:
    """A watched process, and what has been seen of it."""

    def __init__(self, process: subprocess.Popen[bytes], place: Place, err: Path) -> None:
        self.process = process
        self.seen = Seen({"start": 0.0})
        self._started = time.monotonic()
        self._signs: dict[Since, Callable[[], bool]] = {
            "first worker": lambda: any(place.temporary.glob("nodebench-run-*/worker-*")),
            "last trial": lambda: bool(_LAST.search(err.read_text())),
        }

    def passed_s(self) -> float:
        """The seconds since the process's start."""
        return time.monotonic() - self._started

    def lives(self) -> bool:
        """Look once, after a short pause; whether the process still runs."""
        time.sleep(_POLL_S)
        for since, sign in self._signs.items():
            if since not in self.seen.at_s and sign():
                self.seen.at_s[since] = self.passed_s()
        if self.process.poll() is None:
            return True
        self.seen.ended_s = self.seen.ended_s or self.passed_s()
        return False


def _awaited(watch: _Watch, what: Interruption | None, expected: Seen | None) -> list[Sent]:
    """The signals that a run was sent before its end. A run that does not end is killed, and counts as sent none."""
    sent = _interrupted(watch, what, expected) if what and expected else []
    while watch.lives():
        if watch.passed_s() > _PATIENCE_S:
            os.killpg(watch.process.pid, signal.SIGKILL)
            watch.process.wait()
            return []
    return sent


def _interrupted(watch: _Watch, what: Interruption, expected: Seen) -> list[Sent]:
    """The signals of the interruption that were sent before the run ended."""
    while what.since not in watch.seen.at_s:
        if not watch.lives():
            return []
    until = watch.seen.at_s[what.since] + what.share * _follows_s(what.since, expected)
    while watch.passed_s() < until:
        if not watch.lives():
            return []
    sent = []
    for blow in what.blows:
        time.sleep(blow.after_s)
        if watch.process.poll() is not None:
            break
        sent.append(Sent(blow, time.time(), _hears(watch.process.pid)))
        (os.killpg if blow.to_group else os.kill)(watch.process.pid, blow.number)
    return sent


def _followed(place: Place) -> tuple[tuple[str, ...], float]:
    """The processes that have not ended in time, which are then killed; and the seconds that the others took."""
    start = time.monotonic()
    while (living := place.processes()) and time.monotonic() < start + _FOLLOW_S:
        time.sleep(0.05)
    left = tuple(f"{process.pid} {process.status()} {process.cmdline()}" for process in living)
    for process in living:
        process.kill()
    return left, time.monotonic() - start


def _follows_s(since: Since, expected: Seen) -> float:
    """The expected seconds from this stage to the next."""
    moments = [*sorted(expected.at_s.values()), expected.ended_s]
    return min(moment for moment in moments if moment > expected.at_s[since]) - expected.at_s[since]


def _answer_all() -> None:
    """In the new process, reset the signals to end, which our own parent may have made us ignore."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def _hears(pid: int) -> bool:
    """Whether the process handles SIGTERM, or ignores it as it does in its last moments."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def _temporary(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("TMPDIR", "")
    except psutil.Error:  # another user's, or gone
        return ""
