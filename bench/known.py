"""What is known of the cells of a block: from the database, and from this run as it goes on."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.machine.environment import environment
from bench.protocol import Recorded
from bench.timing import clock
from results.location import UnwritableError
from results.records import Cell, Reference, Trial
from results.references import keep, kept
from results.store import Store
from results.where import Where

_ERRORS = {"forward_s": "error", "gradient_s": "gradient_error"}  # by the samples that a cell is compared by
_WORK = ("nfe_forward", "nfe_backward", "vjp_backward")


def recorded(store: Store, cells: Iterable[Cell]) -> Recorded:
    """What the database has of the cells in this environment."""
    here, keys = environment().fingerprint, [cell.key for cell in cells]
    return Recorded(store.recorded(here, keys), store.settled(here, keys))


class Known:
    """Metrics and true values. Without its database a run knows what it has measured itself."""

    def __init__(self, store: Store, cells: Sequence[Cell]):
        self._store = store
        self._cells = cells
        self._metrics: dict[str, dict[str, float]] = defaultdict(dict)
        self._references: dict[str, Reference] = {}
        try:
            self._read(Where(fingerprint=environment().fingerprint, cell_key=[cell.key for cell in cells]))
            self.recorded = recorded(store, cells)
        except UnwritableError:
            self.recorded = Recorded()

    def _read(self, where: Where) -> None:
        for row in self._store.metrics(where).itertuples():
            self._metrics[row.cell_key][row.name] = row.value
        for problem in {cell.problem for cell in self._cells}:
            self._references |= {one.key: one for one in kept(self._store, problem)}

    def add(self, trial: Trial) -> None:
        """What a trial has measured."""
        self._metrics[trial.cell_key] |= trial.metrics

    def keep(self, computed: Sequence[Reference]) -> None:
        """True values that had to be computed, for this run and for those to come."""
        self._references |= {one.key: one for one in computed}
        with contextlib.suppress(UnwritableError):  # they can be computed again
            keep(self._store, computed)

    def references(self, problem: str) -> tuple[Reference, ...]:
        """The true values of a problem."""
        return tuple(one for one in self._references.values() if one.problem == problem)

    def errors(self) -> dict[Cell, float]:
        """Of the cells whose error is known, by what they are compared by: the solution's or the gradient's."""
        found = {cell: self._metrics[cell.key].get(_ERRORS[clock(cell)]) for cell in self._cells}
        return {cell: error for cell, error in found.items() if error is not None}

    def by_work(self) -> list[Cell]:
        """The cells that could be counted, the cheapest first."""
        counted = [cell for cell in self._cells if "nfe_forward" in self._metrics[cell.key]]
        return sorted(counted, key=lambda cell: (self._work(cell), cell.key))

    def _work(self, cell: Cell) -> float:
        return sum(self._metrics[cell.key].get(name, 0.0) for name in _WORK)

    def peak_rss_bytes(self, cell: Cell) -> float | None:
        """What a process of the cell holds at most; None if it was not measured."""
        return self._metrics[cell.key].get("peak_rss_bytes")
