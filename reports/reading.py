"""The frames of the store, cell by cell."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, Self

import numpy as np
from pandas import DataFrame, Series

from reports.blocks import Block, Control
from reports.measured import MeasuredCell, TrialView
from results.read.where import Where
from results.records import Cell
from results.statistics.ratio import Ratio, median, paired_ratio
from results.store import Store


@dataclass(frozen=True)
class Frames:
    """The measurements of some cells, in the store's frames of these names."""

    trials: DataFrame
    metrics: DataFrame
    samples: DataFrame
    curves: DataFrame
    ties: DataFrame | None = None  # samples of all cells that ever were controls, with `code`

    @classmethod
    def of(cls, store: Store, where: Where) -> Self:
        """The newest measurements that meet the condition."""
        return cls(
            store.trials(where),
            store.metrics(where),
            store.samples(where),
            store.curves(where),
            ties(store, where, controls(store, where)),
        )

    def without(self, left_out: Collection[tuple[str, str]]) -> Self:
        """The frames without these cells (key) and kinds, but with the samples that link other cells."""
        names = [each.name for each in fields(self) if each.name != "ties"]
        return replace(self, **{name: _without(getattr(self, name), left_out) for name in names})


def controls(store: Store, where: Where) -> list[str]:
    """The keys of all cells that ever were controls, of any code: their twins were timed."""
    return list(store.trials(replace(where, source=None, kind="twin"), newest=False)["cell_key"].unique())


def ties(store: Store, where: Where, keys: Collection[str]) -> DataFrame:
    """The samples of these controls, of any code: they are not shown, but link the cells that were timed beside them.

    The column `code` is the key of the code that was measured, or the series where that is not known: the samples of
    one cell and one code are of one subject, in whatever run they were taken.
    """
    timed = replace(where, source=None, kind="timing", cell_key=list(keys))
    process = ["run_id", "cell_key", "process_index"]
    trials = store.trials(timed, newest=False)
    return store.samples(timed, newest=False).merge(trials[process].assign(code=code_of(trials)), on=process)


def code_of(trials: DataFrame) -> Series:
    """The key of the code that each trial measured, or its series where that is not known."""
    return trials["source"].where(trials["source"].notna(), trials["series"])


def _without(frame: DataFrame, left_out: Collection[tuple[str, str]]) -> DataFrame:
    out = [pair in left_out for pair in zip(frame["cell_key"], frame["kind"], strict=True)]
    return frame[~np.array(out, dtype=bool)]


def measured_cells(planned: DataFrame, frames: Frames, *, with_ratios: bool = True) -> dict[str, MeasuredCell]:
    """The planned cells by key, with their measurements; `with_ratios`: with their ratios to the block's control."""
    cells = {row["cell_key"]: cell_of(row) for row in planned.to_dict("records")}
    trials, metrics, timed = _trials(frames.trials), _metrics(frames.metrics), frames.samples
    samples, twins = _samples(timed[timed["kind"] != "twin"]), _samples(timed[timed["kind"] == "twin"])
    curves = _curves(frames.curves)
    controls = [Control.of(key, cells[key], samples[key], twin) for key, twin in twins.items()]
    blocks = _blocks(controls, [] if frames.ties is None else tied(frames.ties, cells))
    return {
        key: MeasuredCell(
            key,
            cell,
            tuple(trials[key]),
            metrics=metrics[key],
            samples=samples[key],
            curves=curves[key],
            block=blocks[cell.block],
            ratios=_ratios(key, samples[key], blocks[cell.block]) if with_ratios else {},
        )
        for key, cell in cells.items()
    }


def cell_of(row: Mapping[Any, Any]) -> Cell:
    """The cell of a planned row."""
    values = {each.name: row[each.name] for each in fields(Cell)}
    for name in ("rtol", "atol", "dt", "learning_rate"):
        values[name] = None if math.isnan(values[name]) else values[name]
    return Cell(**values)


def _trials(frame: DataFrame) -> Mapping[str, list[TrialView]]:
    """The trials by cell, without interrupted trials, which are still to be measured."""
    trials: defaultdict[str, list[TrialView]] = defaultdict(list)
    for row in frame[frame["status"] != "interrupted"].itertuples():
        trials[row.cell_key].append(TrialView(row.status, row.reason, row.duration_s, row.kind == "twin"))
    return trials


def _metrics(frame: DataFrame) -> Mapping[str, dict[str, float]]:
    metrics: defaultdict[str, dict[str, float]] = defaultdict(dict)
    frame = frame[frame["kind"] != "twin"]  # a twin has the key of the control's cell
    for (key, name), values in frame.groupby(["cell_key", "name"])["value"]:
        metrics[key][name] = median(values)
    return metrics


def _samples(frame: DataFrame) -> Mapping[str, dict[str, Series]]:
    samples: defaultdict[str, dict[str, Series]] = defaultdict(dict)
    rounds = frame.set_index(["run_id", "process_index", "round_index"])  # only samples of one run's round are pairs
    for (key, name), values in rounds.groupby(["cell_key", "name"])["value"]:
        samples[key][name] = values
    return samples


def tied(frame: DataFrame, cells: Mapping[str, Cell]) -> list[tuple[Cell, Mapping[str, Series]]]:
    """The samples of each cell and code among `ties`, with their cell."""
    groups = frame.groupby(["cell_key", "code"], sort=False)
    return [(cells[key], _samples(group)[key]) for (key, _), group in groups]


def _blocks(
    controls: Collection[Control], ties: Collection[tuple[Cell, Mapping[str, Series]]]
) -> Mapping[tuple[Any, ...], Block]:
    """The blocks by the values that their cells share. Controls without a twin's ratio are left out if one has it."""
    blocks: defaultdict[tuple[Any, ...], Block] = defaultdict(Block)
    for each in controls:
        if each.twins or not any(other.twins for other in controls if other.cell.block == each.cell.block):
            block = blocks[each.cell.block]
            blocks[each.cell.block] = replace(block, controls=(*block.controls, each))
    for cell, samples in ties:
        block = blocks[cell.block]
        blocks[cell.block] = replace(block, ties=(*block.ties, samples))
    return blocks


def _ratios(key: str, samples: Mapping[str, Series], block: Block) -> dict[str, Ratio]:
    """The ratios to the control that shares most rounds, by name; the control itself has none."""
    ratios: dict[str, Ratio] = {}
    for name, control in product(samples, block.controls):
        denominator = control.denominator(name)
        ratio = paired_ratio(samples[name], denominator) if denominator is not None and control.key != key else None
        if ratio and (name not in ratios or ratio.pairs > ratios[name].pairs):
            ratios[name] = ratio
    return ratios


def _curves(frame: DataFrame) -> Mapping[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The curves of the first process by cell and name; empty curves are left out."""
    curves: defaultdict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)
    for row in frame.itertuples():
        if row.y.size:
            curves[row.cell_key].setdefault(row.name, (row.x, row.y))
    return curves
