"""A run as a process of its own: started, seen from outside, interrupted, and awaited."""

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
from interruption import ENDING, Blow, Interruption, Since

import bench

_TREE = str(Path(bench.__file__).parents[1])
_POLL_S = 0.01
_PATIENCE_S = 300.0  # for a run that should end
_FOLLOW_S = 60.0  # for what it has started to end after it
_LAST = re.compile(r"^nodebench: (\d+) of \1, ", re.MULTILINE)  # its last progress line


@dataclass(frozen=True)
class Place:
    """The folder of one trial of ours, in which all is that a run writes."""

    folder: Path

    @property
    def temporary(self) -> Path:
        """Where its runs' temporary folders are."""
        return self.folder / "t"

    @property
    def state(self) -> Path:
        """Where a run spools what it cannot write beside its database."""
        return self.folder / "state"

    def made(self) -> "Place":
        """The folders."""
        for path in (self.temporary, self.state):
            path.mkdir(parents=True, exist_ok=True)
        return self

    def processes(self) -> list[psutil.Process]:
        """What lives of the runs that were started here."""
        return [process for process in psutil.process_iter() if _temporary(process).startswith(str(self.temporary))]


@dataclass
class Seen:
    """When what was first seen of a run, in seconds since its start."""

    at_s: dict[Since, float] = field(default_factory=dict)
    ended_s: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A signal that has reached a living process."""

    blow: Blow
    at: float  # seconds since the epoch
    heard: bool  # whether the run had set its answer to signals by then


@dataclass(frozen=True)
class Ended:
    """How a run has ended."""

    code: int
    out: str
    err: str
    pid: int
    seen: Seen
    sent: tuple[Sent, ...] = ()
    left: tuple[str, ...] = ()  # what it had started and did not end in time
    followed_s: float = 0.0  # seconds in which the last of its processes has ended after it

    @property
    def numbers(self) -> set[signal.Signals]:
        """The signals that were sent."""
        return {one.blow.number for one in self.sent}


def called(place: Place, *arguments: str, what: Interruption | None = None, expected: Seen | None = None) -> Ended:
    """`nodebench` with these arguments, interrupted unless it ends before that, to its end."""
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
    except BaseException:  # Ctrl-C in its terminal is for us alone
        os.killpg(process.pid, signal.SIGKILL)
        raise
    left, followed_s = _followed(place)  # what they say at their end is read too
    return Ended(
        process.returncode, out.read_text(), err.read_text(), process.pid, watch.seen, tuple(sent), left, followed_s
    )


class _Watch:
    """A process, and what has been seen of it."""

    def __init__(self, process: subprocess.Popen[bytes], place: Place, err: Path) -> None:
        self.process = process
        self.seen = Seen({"start": 0.0})
        self._started = time.monotonic()
        self._signs: dict[Since, Callable[[], bool]] = {
            "first worker": lambda: any(place.temporary.glob("nodebench-run-*/worker-*")),
            "last trial": lambda: bool(_LAST.search(err.read_text())),
        }

    def passed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def lives(self) -> bool:
        """Look once, after a moment; whether it has not ended."""
        time.sleep(_POLL_S)
        for since, sign in self._signs.items():
            if since not in self.seen.at_s and sign():
                self.seen.at_s[since] = self.passed_s()
        if self.process.poll() is None:
            return True
        self.seen.ended_s = self.seen.ended_s or self.passed_s()
        return False


def _awaited(watch: _Watch, what: Interruption | None, expected: Seen | None) -> list[Sent]:
    """The signals that it was sent before it ended. A run that does not end is killed, which nobody has asked for."""
    sent = _interrupted(watch, what, expected) if what and expected else []
    while watch.lives():
        if watch.passed_s() > _PATIENCE_S:
            os.killpg(watch.process.pid, signal.SIGKILL)
            watch.process.wait()
            return []
    return sent


def _interrupted(watch: _Watch, what: Interruption, expected: Seen) -> list[Sent]:
    """The signals that were sent before it ended; all of them, or those that came in time."""
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
    """What has not ended in time, which is then killed; and how long the others took."""
    start = time.monotonic()
    while (living := place.processes()) and time.monotonic() < start + _FOLLOW_S:
        time.sleep(0.05)
    left = tuple(f"{one.pid} {one.status()} {one.cmdline()}" for one in living)
    for process in living:
        process.kill()
    return left, time.monotonic() - start


def _follows_s(since: Since, expected: Seen) -> float:
    """The seconds from this to what comes next."""
    moments = [*sorted(expected.at_s.values()), expected.ended_s]
    return min(moment for moment in moments if moment > expected.at_s[since]) - expected.at_s[since]


def _answer_all() -> None:
    """In the new process: no signal is ignored because whoever has started us ignores it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def _hears(pid: int) -> bool:
    """Whether the process answers SIGTERM by itself, or ignores it as it does in its last moments."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def _temporary(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.environ().get("TMPDIR", "")
    except psutil.Error:  # another user's, or gone
        return ""
