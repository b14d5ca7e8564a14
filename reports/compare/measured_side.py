"""The cells of a side with all that was measured of them there."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pandas import DataFrame

from reports.measured import Failure, MeasuredCell
from reports.reading import Frames, code_of, measured_cells
from results.read.only import matches
from results.read.where import Where
from results.tools.sides import Side

if TYPE_CHECKING:
    from results.store import Store

OK = Failure("ok", "")


@dataclass(frozen=True)
class MeasuredSide:
    """The cells of a side by key, and by key and kind how their trials ended and which these are."""

    cells: Mapping[str, MeasuredCell]
    ended: Mapping[str, Mapping[str, Failure]]  # OK, or the first failure; every cell has an entry
    trials: Mapping[tuple[str, str], Collection[tuple[str, int]]]  # run and process of each
    code: Mapping[str, str]  # by cell: key of the code that was timed, or the series where that is not known

    def only(self, where: Where) -> "MeasuredSide":
        """The side with only the cells that meet the condition."""
        return replace(self, cells={key: each for key, each in self.cells.items() if matches(where, each.cell)})


def measured_side(side: Side) -> MeasuredSide:
    """All cells of a side."""
    where = side.on(Where())
    trials = side.store.trials(where)
    trials = trials[trials["status"] != "interrupted"]
    keys = dict.fromkeys([*side.planned()["cell_key"], *trials["cell_key"]])
    known = cells_of(side.store, list(keys))
    no_curves = DataFrame(columns=["cell_key", "kind"])
    frames = Frames(trials, side.store.metrics(where), side.store.samples(where), no_curves)
    ended: dict[str, dict[str, Failure]] = {key: {} for key in keys}
    of_kind: defaultdict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    for row in trials[trials["kind"] != "twin"].itertuples():
        of_kind[row.cell_key, row.kind].add((row.run_id, row.process_index))
        if ended[row.cell_key].get(row.kind, OK) is OK:
            ended[row.cell_key][row.kind] = OK if row.status == "ok" else Failure(row.status, row.reason)
    timed = trials[trials["kind"] == "timing"]
    code = dict(zip(timed["cell_key"], code_of(timed), strict=True))
    return MeasuredSide(measured_cells(known, frames, with_ratios=False), ended, of_kind, code)


def cells_of(store: "Store", keys: Collection[str]) -> DataFrame:
    """The cells with these keys, in the columns of `Store.planned` that are theirs."""
    return store.cells(Where(cell_key=list(keys))).rename(columns={"key": "cell_key"})
