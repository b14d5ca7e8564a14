"""The order of the trials that are due: by block, and similar cells together."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from results.records import Cell, TrialKind

MOST_TOGETHER = 16  # cells timed in the same rounds: the longer a round, the farther apart are its samples

SIDE_BY_SIDE: tuple[TrialKind, ...] = ("counts", "accuracy", "memory")  # no time is measured: they may run at once
MOST_SIDE_BY_SIDE = 8


class Pending(NamedTuple):
    """A kind of trial that is due for a cell: one trial, or for timing as many as it takes."""

    cell: Cell
    kind: TrialKind


def blocks(trials: Iterable[Pending]) -> list[list[Pending]]:
    """The trials by block, because cells that are compared with each other are measured together."""
    keyed = sorted(trials, key=lambda trial: _block_order(trial.cell))
    return [list(group) for _, group in groupby(keyed, key=lambda trial: _block_order(trial.cell))]


def groups(cells: Sequence[Cell], most: int) -> list[list[Cell]]:
    """A block's cells in groups of at most `most`, which are timed in the same rounds; similar cells share a group."""
    ordered = sorted(cells, key=_similarity)
    n_groups = -(-len(ordered) // most)
    return [ordered[len(ordered) * i // n_groups : len(ordered) * (i + 1) // n_groups] for i in range(n_groups)]


def _block_order(cell: Cell) -> tuple[str, ...]:
    return tuple(map(str, cell.block))


def _similarity(cell: Cell) -> tuple[str | float, ...]:
    """A sort key that puts similar cells side by side; the library last, as most comparisons are between libraries."""
    return cell.solver, cell.dt or 0.0, cell.rtol or 0.0, cell.gradient, cell.backend, cell.key
