"""Which trials a cell needs, in which order they run, and which are still to be done."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from results.records import Cell, TrialKind

TOGETHER = 16  # cells timed side by side at most: the longer a round, the farther apart are its samples


class Pending(NamedTuple):
    """What of a cell is still to be measured: one trial, or, of timing, as many as it takes."""

    cell: Cell
    kind: TrialKind


@dataclass(frozen=True)
class Recorded:
    """What is known of the cells in this environment."""

    statuses: Mapping[str, Mapping[tuple[str, int], str]] = field(default_factory=dict)  # of Store.recorded
    settled: Collection[str] = frozenset()  # cells whose timing has come to its end

    def done(self, cell: Cell, kind: TrialKind) -> bool:
        """Whether nothing of this kind is left to do. A failed trial is a result, and is not repeated."""
        ends = [status for (of, _), status in self.of(cell).items() if of == kind]
        if kind == "timing":
            return cell.key in self.settled or any(status != "ok" for status in ends)
        return bool(ends)

    def of(self, cell: Cell) -> Mapping[tuple[str, int], str]:
        """Status by kind and process."""
        return self.statuses.get(cell.key, {})

    def next_process(self, cells: Iterable[Cell]) -> int:
        """The first process index that no timing of these cells has: samples of an earlier run stay what they are."""
        timed = (index for cell in cells for kind, index in self.of(cell) if kind in ("timing", "twin"))
        return max(timed, default=-1) + 1


def kinds(cell: Cell) -> list[TrialKind]:
    """All that is measured of a cell: counts first, since a cell that cannot be counted is not measured further.

    Timing last: which cell is the reference, and which are cut, follows from what the others have found.
    """
    if cell.iterations:
        return ["counts", "accuracy", "memory", "training", "timing"]
    return ["counts", "accuracy", "memory", "timing"]


def pending(cells: Iterable[Cell], recorded: Recorded) -> list[Pending]:
    """What is not recorded yet. A cell whose counts have failed is done."""
    return [
        Pending(cell, kind)
        for cell in cells
        if recorded.of(cell).get(("counts", 0), "ok") == "ok"
        for kind in kinds(cell)
        if not recorded.done(cell, kind)
    ]


def blocks(trials: Iterable[Pending]) -> list[list[Pending]]:
    """The trials by block: cells that are compared with each other are measured together."""
    keyed = sorted(trials, key=lambda trial: _block_order(trial.cell))
    return [list(group) for _, group in groupby(keyed, key=lambda trial: _block_order(trial.cell))]


def groups(cells: Sequence[Cell], most: int) -> list[list[Cell]]:
    """A block's cells in groups of at most so many, which are timed side by side: those alike in the same group."""
    alike = sorted(cells, key=_likeness)
    n_groups = -(-len(alike) // most)
    return [alike[len(alike) * i // n_groups : len(alike) * (i + 1) // n_groups] for i in range(n_groups)]


def _block_order(cell: Cell) -> tuple[str, ...]:
    return tuple(map(str, cell.block))


def _likeness(cell: Cell) -> tuple[str | float, ...]:
    """The library last: the same solve in two libraries is what most comparisons are about."""
    return cell.solver, cell.dt or 0.0, cell.rtol or 0.0, cell.gradient, cell.backend, cell.key
