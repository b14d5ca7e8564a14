"""The trials of a sweep that are due: not measured yet, or measured of older code, or with less time or memory.

A failure is a result and is not repeated, unless it was for lack of time or memory and more is granted now.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.machine.environment import environment
from bench.measures.kinds import kinds
from bench.plan.protocol import Pending
from bench.source import sources_of
from bench.sweep.file import Sweep
from bench.sweep.measure import Asked, asked
from results.read.standing import Standing, StandingTrial
from results.records import EXPECTED, Cell, TrialKind
from results.store import Store

Kind = tuple[str, TrialKind]  # a cell's key and a kind of trial

_GRANTED = {"timeout": "timeout_s", "out_of_memory": "memory_bytes"}  # the resource that a failure may have lacked


@dataclass(frozen=True)
class Recorded:
    """The trials that count for some cells in this environment: of the current code, the newest series of each kind."""

    trials: Mapping[Kind, Sequence[StandingTrial]] = field(default_factory=dict)
    measures: Mapping[str, Asked] = field(default_factory=dict)  # by run
    next_process: int = 0  # index of the next timing process: above those of earlier runs, whose samples stay
    outdated: Collection[str] = frozenset()  # keys of cells with a kind that was measured of other code only

    @classmethod
    def of(cls, standing: Standing) -> "Recorded":
        """The standing trials, by cell and kind."""
        trials: dict[Kind, list[StandingTrial]] = {}
        for trial in standing.trials:
            trials.setdefault((trial.cell_key, trial.kind), []).append(trial)
        last = -1 if standing.last_process is None else standing.last_process
        return cls(trials, standing.measures, last + 1, standing.outdated)

    def of_kind(self, cell: Cell, kind: TrialKind) -> Sequence[StandingTrial]:
        """The cell's trials of this kind that count."""
        return self.trials.get((cell.key, kind), ())

    def statuses(self, cell: Cell) -> list[str]:
        """The distinct statuses of the cell's trials."""
        return sorted({trial.status for kind in kinds(cell) for trial in self.of_kind(cell, kind)})

    def ended(self, cell: Cell) -> str:
        """The cell's status: that of its first failure, else ok; empty if it was not measured."""
        statuses = [trial.status for kind in kinds(cell) for trial in self.of_kind(cell, kind)]
        return next((status for status in statuses if status != "ok"), "ok") if statuses else ""

    def without(self, again: Collection[Kind]) -> "Recorded":
        """The recorded trials without those of these cells and kinds."""
        return replace(self, trials={kind: trials for kind, trials in self.trials.items() if kind not in again})

    def series(self, cell: Cell, kind: TrialKind) -> str:
        """The series that new samples belong to; empty if they begin a new series. A failure ends a series."""
        trials = self.of_kind(cell, kind)
        return trials[0].series if trials and all(trial.status == "ok" for trial in trials) else ""

    def failed(self, cell: Cell, kind: TrialKind) -> bool:
        """Whether one of the cell's trials of this kind has failed."""
        return any(trial.status != "ok" for trial in self.of_kind(cell, kind))

    def full_processes(self, cell: Cell, asked: Asked) -> int:
        """The number of processes that have timed the cell in as many rounds as are asked for."""
        timed = self.of_kind(cell, "timing") if self.series(cell, "timing") else ()
        return sum(self._covers(trial, asked, "rounds", "sampling_s") for trial in timed)

    def done(self, cell: Cell, kind: TrialKind, asked: Asked) -> bool:
        """Whether no trial of this kind is due for the cell."""
        trials = self.of_kind(cell, kind)
        if not trials:
            return False
        if failures := [trial for trial in trials if trial.status != "ok"]:
            return not any(self._granted_more(trial, asked) for trial in failures)
        return kind != "timing" or self._timed_enough(cell, trials, asked)

    def _timed_enough(self, cell: Cell, trials: Sequence[StandingTrial], asked: Asked) -> bool:
        """Whether the ratio is as precise as is asked for, or cannot become so with the time that is granted."""
        for trial in trials:
            if trial.unstable is None:
                continue
            if trial.cut_ratio is not None and trial.cut_ratio > asked["cut_ratio"]:
                return True
            budget = ("max_processes", "max_s", "rounds", "sampling_s", "processes")
            if trial.unstable and trial.cut_ratio is None and self._covers(trial, asked, *budget):
                return True
            precise = not trial.unstable and self._then(trial).get("precision", 0.0) <= asked["precision"]
            if precise and self.full_processes(cell, asked) >= asked["processes"]:
                return True
        return False

    def _granted_more(self, failed: StandingTrial, asked: Asked) -> bool:
        name = _GRANTED.get(failed.status)
        return name is not None and not self._covers(failed, asked, name)

    def _covers(self, trial: StandingTrial, asked: Asked, *names: str) -> bool:
        """Whether the trial's run had asked for at least as much of each of these."""
        then = self._then(trial)
        return all(then.get(name, asked[name]) >= asked[name] for name in names)

    def _then(self, trial: StandingTrial) -> Asked:
        return self.measures.get(trial.run_id, {})


def pending(cells: Iterable[Cell], recorded: Recorded, asked: Asked) -> list[Pending]:
    """The trials that are due. A cell whose calls could not be counted is not measured further."""
    due: list[Pending] = []
    for cell in cells:
        of_cell = [Pending(cell, kind) for kind in kinds(cell) if not recorded.done(cell, kind, asked)]
        if of_cell and (of_cell[0].kind == "counts" or not recorded.failed(cell, "counts")):
            due += of_cell
    return due


Again = Callable[[Cell, TrialKind, Sequence[StandingTrial]], bool]  # whether to measure these trials again


def set_aside(cells: Iterable[Cell], recorded: Recorded, again: Again) -> Recorded:
    """The recorded trials without those to be measured again; a twin's trials go with the timing of its cell."""
    chosen = {
        (cell.key, kind) for cell in cells for kind in kinds(cell) if again(cell, kind, recorded.of_kind(cell, kind))
    }
    return recorded.without(chosen | {(key, "twin") for key, kind in chosen if kind == "timing"})


def any_failed(_cell: Cell, _kind: TrialKind, trials: Sequence[StandingTrial]) -> bool:
    """Whether a trial failed. A cell that a library or this machine cannot measure has not failed."""
    return any(trial.status not in ("ok", *EXPECTED) for trial in trials)


def any_unstable(_cell: Cell, kind: TrialKind, trials: Sequence[StandingTrial]) -> bool:
    """Whether a cell's timing ended before its ratio was as precise as asked."""
    unstable = [trial.unstable for trial in trials if trial.unstable is not None]
    return kind == "timing" and bool(unstable) and all(unstable)


def recorded(store: Store, cells: Iterable[Cell]) -> Recorded:
    """The trials in the database that count for these cells in this environment."""
    cells = list(cells)
    sources = {source.key for source in sources_of(cells)}
    return Recorded.of(store.standing(environment().fingerprint, [cell.key for cell in cells], sources))


def due_trials(sweep: Sweep, found: Recorded, again: Again | None = None) -> list[Pending]:
    """The trials of the sweep that are due, given the recorded ones."""
    counts = set_aside(sweep.wanted, found, again) if again else found
    return pending(sweep.wanted, counts, asked(sweep.measure))
