"""The interruption of a run: which signals are sent, when, and to which processes."""

import random
import signal
from dataclasses import dataclass
from typing import Literal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # those that a run handles
FIRST = (*ENDING, signal.SIGKILL, signal.SIGSTOP)

# What the moment is counted from: the process's start, its first worker, its last progress line.
Since = Literal["start", "first worker", "last trial"]
_SINCE: dict[Since, int] = {"start": 7, "first worker": 9, "last trial": 3}  # how often, relative to each other


@dataclass(frozen=True)
class PlannedSignal:
    """A signal that is to be sent."""

    number: signal.Signals
    after_s: float  # seconds since the signal before
    to_group: bool  # to the whole process group, as a terminal does; or to the run's process alone

    def __str__(self) -> str:
        return f"{self.number.name} {self.after_s:.3f} s later{' to the group' if self.to_group else ''}"


@dataclass(frozen=True)
class Interruption:
    """One to three signals at a moment."""

    since: Since
    share: float  # of the time that is expected to follow, until the next of these or the end
    blows: tuple[PlannedSignal, ...]

    def __str__(self) -> str:
        return f"{self.share:.4f} of the time since the {self.since}: {', '.join(map(str, self.blows))}"


def drawn(seed: int, number: int) -> Interruption:
    """The random interruption with this number."""
    draw = random.Random(f"{seed} {number}")
    since = draw.choices(list(_SINCE), list(_SINCE.values()))[0]
    share = draw.uniform(0.0, 1.1)
    to_group = draw.random() < 1 / 3
    first = FIRST[number % len(FIRST)]
    following = _after_stop(draw) if first == signal.SIGSTOP else _in_succession(draw, first)
    signals = [(first, 0.0), *following]
    return Interruption(since, share, tuple(PlannedSignal(*planned, to_group) for planned in signals))


def _after_stop(draw: random.Random) -> list[tuple[signal.Signals, float]]:
    """The signals after SIGSTOP: the run continues after a pause, or continues with a signal waiting, or is killed."""
    pause_s = draw.uniform(0.0, 3.0)
    how = draw.choice(("continued", "continued", "signalled", "killed"))
    if how == "killed":
        return [(signal.SIGKILL, pause_s)]
    waiting = [(draw.choice(ENDING), draw.uniform(0.0, pause_s))] if how == "signalled" else []
    return [*waiting, (signal.SIGCONT, pause_s - sum(after_s for _, after_s in waiting))]


def _in_succession(draw: random.Random, first: signal.Signals) -> list[tuple[signal.Signals, float]]:
    """The signals after the first one; in six of ten cases there are none."""
    count = 0 if first == signal.SIGKILL else draw.choices((0, 1, 2), (6, 2, 2))[0]
    return [(draw.choice((*ENDING, signal.SIGKILL)), draw.choice((0.0, 0.02, 0.3))) for _ in range(count)]
