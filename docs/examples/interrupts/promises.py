"""The promises to a user about an interrupted run, and the checks whether a run kept them."""

import re
import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from disturbed import Ended, Place
from held import Held, Shape, Stored
from interruption import ENDING

from bench.machine.lock import turn

Moment = Literal["Python starts", "it loads", "it measures", "it ends"]
MOMENTS: tuple[Moment, ...] = ("Python starts", "it loads", "it measures", "it ends")
Shapes = Mapping[tuple[str, str], Collection[Shape]]  # by kind and gradient, of a run that nobody disturbed

_NOTHING_LOST = "interrupted: nothing measured is lost; run the same command again to go on\n"
_INTERRUPTED = re.compile(r"^(nodebench: )?interrupted.*$", re.MULTILINE)
_NOTE = re.compile(r"nodebench: (\d+ of \d+, .+ left(: .+)?|process \d+ has been measuring .+)")


def moment(ended: Ended, stored: Stored | None) -> Moment:
    """The stage that the run had reached when the first signal came."""
    first = ended.sent[0]
    if not first.heard:
        return "Python starts"
    if stored is None or first.at < stored.started_at:
        return "it loads"
    return "it measures" if stored.finished_at is None or first.at < stored.finished_at else "it ends"


def broken(ended: Ended, before: Held, after: Held, shapes: Shapes) -> Iterator[str]:
    """A line for each promise that a run did not keep, about its output and about what it stored."""
    new, stored = [name for name in after.runs if name not in before.runs], after.newest(before)
    when = moment(ended, stored) if ended.sent else "it ends"
    if ended.code not in _codes(ended, when):
        yield f"exit code {ended.code} for {sorted(number.name for number in ended.numbers)} as {when}"
    yield from _said(ended, when, stored)
    yield from _stored(ended, stored)
    yield from _kept(before, after, new)
    yield from _whole(after, shapes)
    if new and (count := re.search(r"(\d+) trials measured", ended.out)) and after.well(new[0]) != int(count[1]):
        yield f"{count[0]} are said, {after.well(new[0])} are stored"
    if new and ended.code >= 0 and after.leasing & set(new):
        yield "a run that has ended holds leases"


def _codes(ended: Ended, when: Moment) -> set[int]:
    """The exit codes that are allowed."""
    asked = {number for number in ended.numbers if number in ENDING}
    codes = {128 + number for number in asked}
    if signal.SIGKILL in ended.numbers:
        codes.add(-signal.SIGKILL)
    if when == "Python starts":  # its own handler ends the process, which a shell reports with the same number
        codes |= {-number for number in asked}
    return codes if codes and when != "it ends" else codes | {0}


def _said(ended: Ended, when: Moment, stored: Stored | None) -> Iterator[str]:
    said = ended.out + ended.err
    if "Traceback" in said and when != "Python starts":
        yield "a traceback"
    twice = [line for line, count in Counter(filter(None, said.splitlines())).items() if count > 1]
    if twice and when != "Python starts":
        yield f"said twice: {twice}"
    interrupted = [found[0] for found in _INTERRUPTED.finditer(said)]
    least = int(ended.code > 2)
    if not least <= len(interrupted) <= max(least, int(ended.code == -signal.SIGKILL)):
        yield f"{len(interrupted)} lines on the interruption: {interrupted}"
    others = [line for line in ended.err.splitlines() if not _NOTE.fullmatch(line) and line not in interrupted]
    if others and when != "Python starts":
        yield f"unexpected on stderr: {others}"
    if ended.code > 2 and stored and stored.state == "interrupted" and not ended.out.endswith(_NOTHING_LOST):
        yield f"its last line is not {_NOTHING_LOST!r}"
    if "are left to" in said:
        yield "a lease of a run that has died hinders it"


def _stored(ended: Ended, stored: Stored | None) -> Iterator[str]:
    """A line if the run's row is in a state that its exit code does not allow."""
    if stored is None:
        if ended.code == 0:
            yield "it has ended well without a row"
        return
    allowed = {0: ("complete",), -9: ("running", "interrupted", "complete")}
    if stored.state not in allowed.get(ended.code, ("interrupted", "complete")):
        yield f"its state is {stored.state!r} after exit code {ended.code}"


def _kept(before: Held, after: Held, new: Collection[str]) -> Iterator[str]:
    lost = [key for key, row in before.trials.items() if after.trials.get(key) != row]
    if lost:
        yield f"{len(lost)} earlier trials are gone or changed, such as {lost[0]}"
    stray = {key[0] for key in after.trials if key not in before.trials} - set(new)
    if stray:
        yield f"trials were added to earlier runs: {stray}"
    changed = [name for name, row in before.runs.items() if after.runs.get(name) not in (row, _known_dead(row))]
    if changed or len(new) > 1:
        yield f"earlier runs changed: {changed}; new ones: {new}"
    yield from after.faults


def _known_dead(row: Stored) -> Stored:
    """The row of a run after the next run has found it dead: a killed run becomes interrupted."""
    return replace(row, state="interrupted") if row.state == "running" else row


def _whole(after: Held, shapes: Shapes) -> Iterator[str]:
    for key, (status, kind, gradient, shape) in after.shapes.items():
        if status == "ok" and shape not in shapes[kind, gradient]:
            yield f"half there: {key}: {shape}"
        if status not in ("ok", "interrupted"):
            yield f"{key} is {status}"


def left(ended: Ended, place: Place, database: Path, *, tidy: bool) -> list[str]:
    """What a run has left behind. `tidy`: the temporary folder must be empty too."""
    found = [f"process {process} is left" for process in ended.left]
    said: list[str] = []
    with turn("interrupts", said.append):
        found += [f"the machine's lock is held: {line}" for line in said if f"process {ended.pid} " in line]
    spooled = [*database.parent.glob(f"{database.name}.spool"), *place.state.rglob("*.json")]
    if spooled:
        found.append(f"spooled: {spooled}")
    if tidy and (files := [path.relative_to(place.temporary) for path in place.temporary.rglob("*")]):
        found.append(f"left in the temporary folder: {files}")
    return found
