"""Which trials a cell needs, in which order they run, and which are still to be done."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from bench.sweep import Measure
from results.records import Cell, TrialKind

Recorded = Mapping[str, Mapping[tuple[str, int], str]]  # of Store.recorded


class Pending(NamedTuple):
    """A trial that is still to be measured."""

    cell: Cell
    kind: TrialKind
    process_index: int = 0


def trials(cell: Cell, measure: Measure) -> list[Pending]:
    """All trials of a cell: what is counted first, since a cell that cannot be counted is not measured further."""
    kinds: list[TrialKind] = ["counts", "accuracy", "memory"]
    if cell.iterations:
        kinds.append("training")
    timings = [Pending(cell, "timing", index) for index in range(measure.processes)]
    return [*(Pending(cell, kind) for kind in kinds), *timings]


def pending(cells: Iterable[Cell], recorded: Recorded, measure: Measure) -> list[Pending]:
    """What is not recorded yet. A cell whose counts have failed is done."""
    return [
        trial
        for cell in cells
        if recorded.get(cell.key, {}).get(("counts", 0), "ok") == "ok"
        for trial in trials(cell, measure)
        if (trial.kind, trial.process_index) not in recorded.get(cell.key, {})
    ]


def blocks(trials: Iterable[Pending]) -> list[list[Pending]]:
    """The trials by block: cells that are compared with each other are measured together."""
    keyed = sorted(trials, key=_block_order)
    return [list(group) for _, group in groupby(keyed, key=_block_order)]


def _block_order(trial: Pending) -> tuple[str, ...]:
    return tuple(map(str, trial.cell.block))
