"""What has been measured so far of the cells of a block: from the database, and by this run."""

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.machine.environment import environment
from bench.options import chosen_of
from bench.plan.due import Again, Recorded, recorded, set_aside
from bench.run.timing import SampleTable, clock
from bench.source import source_of, sources_of
from bench.sweep.measure import Asked
from results.engine.location import UnwritableError
from results.read.where import Where
from results.records import Cell, Trial, TrueValues
from results.store import Store
from results.tools.true_values import keep, kept

_ERRORS = {"forward_s": "error", "gradient_s": "gradient_error"}  # by the samples that a cell is compared by
_DRAWN = (
    "{} is another problem in each process: its start, parameters, times or loss differ: let its function draw by the "
    "generators of torch, NumPy or random, which are seeded, and nothing at import; `nodebench check` tries it"
)
_WORK = ("nfe_forward", "nfe_backward", "vjp_backward")


class MeasuredSoFar:
    """The metrics and true values of a block's cells. Without its database a run knows only its own measurements."""

    def __init__(
        self,
        store: Store,
        cells: Sequence[Cell],
        again: Again | None = None,
        exact_enough: Mapping[Cell, float] | None = None,
    ) -> None:
        """`again`: what is measured again. `exact_enough`: the error below which a smaller one is no gain."""
        self._store = store
        self._exact_enough = exact_enough or {}
        self._cells = {cell.key: cell for cell in cells}
        self._metrics: dict[str, dict[str, float]] = defaultdict(dict)
        self._true_values: dict[str, TrueValues] = {}
        self._instances: dict[tuple[Any, ...], str] = {}  # inputs -> hash of the instance that this run had for them
        self.recorded = Recorded()
        with contextlib.suppress(UnwritableError):
            found = recorded(store, cells)
            self.recorded = set_aside(cells, found, again) if again else found
            self._read()

    def _read(self) -> None:
        for row in self._store.metrics(self._of_cells()).itertuples():
            if (row.cell_key, row.kind) in self.recorded.trials:
                self._metrics[row.cell_key][row.name] = row.value
        for problem in {cell.problem for cell in self._cells.values()}:
            self._true_values |= {values.key: values for values in kept(self._store, problem)}

    def _of_cells(self, **changes: Any) -> Where:
        """The condition on trials of these cells that count: in this environment, of the code as it is."""
        sources = [source.key for source in sources_of(self._cells.values())]
        return Where(fingerprint=environment().fingerprint, cell_key=list(self._cells), source=sources, **changes)

    def samples(self, asked: Asked) -> SampleTable:
        """The recorded samples of the block's timing, to which this run adds its own."""
        cells = self._cells.values()
        samples = SampleTable({cell.key: self.recorded.full_processes(cell, asked) for cell in cells})
        with contextlib.suppress(UnwritableError):
            for row in self._store.samples(self._of_cells(kind=["timing", "twin"])).itertuples():
                if self.recorded.series(self._cells[row.cell_key], row.kind):
                    place = (row.run_id, row.process_index, row.round_index)
                    samples.put(row.cell_key, row.kind, row.name, place, row.value)
        return samples

    def with_source(self, trial: Trial) -> Trial:
        """The trial, completed with the code that it measured and the series that it belongs to."""
        cell = self._cells[trial.cell_key]
        series = self.recorded.series(cell, trial.kind)
        return replace(trial, source=source_of(cell, trial.kind).key, series=series)

    def add(self, trial: Trial) -> None:
        """Add a trial's metrics."""
        self._metrics[trial.cell_key] |= trial.metrics

    def with_truth(self, trial: Trial, computed: Sequence[TrueValues]) -> Trial:
        """The trial, after the true values that it has computed are kept.

        It has failed if another process of this run had another instance of its problem: then no two trials of the
        problem measure the same.
        """
        chosen = tuple(chosen_of(self._cells[trial.cell_key], "problem").items())
        for values in computed:
            inputs = (values.problem, values.name, *((k, v) for k, v in values.asked.items() if k != "sha256"), chosen)
            if self._instances.setdefault(inputs, values.asked["sha256"]) != values.asked["sha256"]:
                return replace(trial, status="error", reason=_DRAWN.format(values.problem), metrics={})
        self._keep(computed)
        return trial

    def _keep(self, computed: Sequence[TrueValues]) -> None:
        """Keep computed true values, for this run and for later ones."""
        self._true_values |= {values.key: values for values in computed}
        with contextlib.suppress(UnwritableError):  # they can be computed again
            keep(self._store, computed)

    def true_values(self, problem: str) -> tuple[TrueValues, ...]:
        """The known true values of a problem."""
        return tuple(values for values in self._true_values.values() if values.problem == problem)

    def errors(self) -> dict[Cell, float]:
        """The error of each cell whose error is known: the gradient's if it has a gradient mode, else the solution's.

        An error below the goal counts as the goal: a cell is not kept for being more exact than anybody wants.
        """
        found = {cell: self._metrics[cell.key].get(_ERRORS[clock(cell)]) for cell in self._cells.values()}
        known = {cell: error for cell, error in found.items() if error is not None}
        return {cell: max(error, self._exact_enough.get(cell, 0.0)) for cell, error in known.items()}

    def by_work(self) -> list[Cell]:
        """The cells that could be counted, the cheapest first."""
        counted = [cell for cell in self._cells.values() if "nfe_forward" in self._metrics[cell.key]]
        return sorted(counted, key=lambda cell: (self._work(cell), cell.key))

    def control_candidates(self) -> list[Cell]:
        """The cells that can be the control, best first: a control ties older samples to new ones.

        First a cell that was a control and still counts, then one whose timings count, then the cheapest.
        """
        series = self.recorded.series
        return sorted(self.by_work(), key=lambda cell: (not series(cell, "twin"), not series(cell, "timing")))

    def _work(self, cell: Cell) -> float:
        return sum(self._metrics[cell.key].get(name, 0.0) for name in _WORK)

    def peak_rss_bytes(self, cell: Cell) -> float | None:
        """The peak resident memory of the cell's process, in bytes; None if it was not measured."""
        return self._metrics[cell.key].get("peak_rss_bytes")
