"""A test of the promises about interrupted runs: hundreds of runs, each sent signals at a random moment.

    python docs/examples/interrupts --interruptions 300

Each run measures a sweep of four cells into a database that is kept over ten interruptions, and is sent one to three of
SIGINT, SIGTERM, SIGHUP, SIGKILL and SIGSTOP (with SIGCONT). Then all promises to the user are checked: exit code,
output, database, processes, files. Needs Linux, where one can see which signals a process handles. 300 take an hour or
more. Exit code 1 if there is a finding.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from disturbed import Ended, Place, Seen, called
from held import Held, read
from interruption import FIRST, Interruption, drawn
from promises import MOMENTS, Shapes, broken, left, moment

from bench.answers.columns import columns
from results.format import duration, plural
from results.statistics.ratio import median

TOGETHER = 10  # interruptions of one database
CELLS, TRIALS = 4, 17  # of the sweep
SWEEP = """
[measure]
processes = 1
max_processes = 1
rounds = 2

[[grid]]
problem = "spiral"
backend = ["node", "torchdiffeq"]
solver = "dopri5"
gradient = ["none", "adjoint"]
rtol = {rtol}
atol = 1e-5
horizon = 0.5
n_outputs = 2
"""


@dataclass
class Durations:
    """The durations of the latest undisturbed runs, from which a moment is drawn."""

    load_s: list[float] = field(default_factory=list)
    trial_s: list[float] = field(default_factory=list)
    end_s: list[float] = field(default_factory=list)

    def add(self, seen: Seen, trials: int) -> None:
        """Add an undisturbed run with this number of trials."""
        first, last = seen.at_s["first worker"], seen.at_s["last trial"]
        self.load_s.append(first)
        self.trial_s.append((last - first) / trials)
        self.end_s.append(seen.ended_s - last)

    def expected(self, trials: int) -> Seen:
        """The expected moments of a run with this number of trials to do."""
        load, each, end = (median(times[-9:]) for times in (self.load_s, self.trial_s, self.end_s))
        last = load + each * max(trials, 1)
        return Seen({"start": 0.0, "first worker": load, "last trial": last}, last + end)


class Stretch:
    """A series of runs that write to one database."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder).made()
        self.database = folder / "bench.db"
        self.held = Held()
        self._sweeps = 0
        self.next_sweep()

    def next_sweep(self) -> None:
        """Choose new cells, because nothing is left to do of the earlier ones."""
        self._sweeps += 1
        self._well_before = self.held.well()
        (self.place.folder / "four.toml").write_text(SWEEP.format(rtol=1e-3 * 0.9**self._sweeps))

    def to_do(self) -> int:
        """The number of trials of the sweep that are not measured."""
        return TRIALS - (self.held.well() - self._well_before)

    def run(self, what: Interruption | None = None, expected: Seen | None = None) -> tuple[Ended, Held]:
        """One run, and the content of the database before it."""
        before = self.held
        ended = called(self.place, "run", "four.toml", "--db", self.database.name, what=what, expected=expected)
        self.held = read(self.database)
        return ended, before


class Tried:
    """All interruptions, and the findings about them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._durations = Durations()
        self._runs = self._completed = 0
        self._started = time.monotonic()
        self._sent: Counter[tuple[str, str]] = Counter()  # by moment and first signal
        self._codes: Counter[int] = Counter()
        self._found: Counter[tuple[str, str]] = Counter()  # like `_sent`; for runs without a signal: ("nobody", "")
        self._longest_s = 0.0  # until all processes of a run were gone
        self._shapes = self._calm()

    def all(self, count: int) -> int:
        """Do this number of interruptions; the exit code."""
        while self._sent.total() < count:
            stretch = Stretch(self._folder / f"{self._completed}")
            until = min(self._sent.total() + TOGETHER, count)
            while self._sent.total() < until:
                self._interrupt(stretch)
            self._complete(stretch)
            self._report(stretch)
            shutil.rmtree(stretch.place.folder)
            self._completed += 1
            print(self._summed(), file=sys.stderr, flush=True)  # intermediate result, because it takes long
        print(self._summed())
        return 1 if self._found else 0

    def _summed(self) -> str:
        """A table of signals and findings by moment, with the exit codes and durations of the runs."""
        names = [number.name for number in FIRST]
        rows = [(when, *(self._cell(when, name) for name in names)) for when in MOMENTS]
        spent = duration(time.monotonic() - self._started)
        return (
            f"{columns(rows, ('first signal, as', *names))}\n\n"
            f"{self._sent.total()} runs interrupted in {spent} (seed {self._seed}), "
            f"{plural(self._completed, 'database')} completed and reported: {self._findings()}.\n"
            f"Exit codes: {', '.join(f'{times} x {code}' for code, times in sorted(self._codes.items()))}.\n"
            f"All processes of a run were gone {self._longest_s:.1f} s after it at the latest."
        )

    def _calm(self) -> Shapes:
        """The shapes of the trials of an undisturbed run, whose duration is added too."""
        stretch = Stretch(self._folder / "calm")
        ended, _ = stretch.run()
        if ended.code or stretch.held.well() != TRIALS:
            raise SystemExit(f"an undisturbed run failed: exit code {ended.code}\n{ended.out}{ended.err}")
        self._durations.add(ended.seen, TRIALS)
        shapes = defaultdict(set)
        for _, kind, gradient, shape in stretch.held.shapes.values():
            shapes[kind, gradient].add(shape)
        return shapes

    def _interrupt(self, stretch: Stretch) -> None:
        """Interrupt one run, which may end before that."""
        self._runs += 1
        to_do, what = stretch.to_do(), drawn(self._seed, self._runs)
        ended, before = stretch.run(what, self._durations.expected(to_do))
        place = ("nobody", "")
        if ended.sent:
            place = moment(ended, stretch.held.newest(before)), ended.sent[0].blow.number.name
            self._sent[place] += 1
            self._codes[ended.code] += 1
        elif ended.code == 0 and "last trial" in ended.seen.at_s:
            self._durations.add(ended.seen, to_do)
        self._look(stretch, ended, before, place, str(what))
        if ended.code == 0:
            stretch.next_sweep()

    def _complete(self, stretch: Stretch) -> None:
        """Run the sweep to its end."""
        ended, before = stretch.run()
        self._look(stretch, ended, before, ("nobody", ""), "not interrupted")
        if not (ended.code == 0 and f", 0 to do\n{CELLS} cells ok\n" in ended.out):
            self._tell_finding(("nobody", ""), ["it does not complete"], ended, "not interrupted")

    def _report(self, stretch: Stretch) -> None:
        """Write the report of the database."""
        ended = called(stretch.place, "report", "--db", stretch.database.name, "-o", "page")
        page = stretch.place.folder / "page/index.html"
        if ended.code or ended.err or not page.exists():
            self._tell_finding(("nobody", ""), ["there is no page"], ended, "report")

    def _look(self, stretch: Stretch, ended: Ended, before: Held, place: tuple[str, str], what: str) -> None:
        found = list(broken(ended, before, stretch.held, self._shapes))
        tidy = ended.code >= 0 and place[0] in ("it measures", "it ends", "nobody")
        found += left(ended, stretch.place, stretch.database, tidy=tidy)
        self._longest_s = max(self._longest_s, ended.followed_s)
        if found:
            self._tell_finding(place, found, ended, what)

    def _tell_finding(self, place: tuple[str, str], found: list[str], ended: Ended, what: str) -> None:
        self._found[place] += 1
        sent = ", ".join(f"{sent.blow} (to be answered: {sent.heard})" for sent in ended.sent)
        print(
            f"run {self._runs} of seed {self._seed}, {' '.join(place)}: {what}",
            *(f"  {line}" for line in found),
            f"  sent: {sent or 'nothing'}",
            f"  seen: {ended.seen}",
            f"  exit code {ended.code}",
            *(f"  out| {line}" for line in ended.out.splitlines()),
            *(f"  err| {line}" for line in ended.err.splitlines()),
            sep="\n",
            flush=True,
        )

    def _findings(self) -> str:
        return plural(self._found.total(), "finding") if self._found else "no finding"

    def _cell(self, when: str, name: str) -> str:
        found = self._found[when, name]
        return f"{self._sent[when, name]}" + (f", {plural(found, 'finding')}" if found else "")


def main() -> int:
    """Interrupt runs, print each finding, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interruptions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="int-", dir="/tmp") as folder:  # short: sockets are made in it
        return Tried(Path(folder), asked.seed).all(asked.interruptions)


if __name__ == "__main__":
    sys.exit(main())
