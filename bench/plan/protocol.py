"""Which trials a cell needs, and in which order they run."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from results.records import Cell, TrialKind

TOGETHER = 16  # cells timed side by side at most: the longer a round, the farther apart are its samples


class Pending(NamedTuple):
    """What of a cell is still to be measured: one trial, or, of timing, as many as it takes."""

    cell: Cell
    kind: TrialKind


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
