"""Made-up measured cells for tests without a database."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pandas import MultiIndex, Series

from reports.blocks import Block, Control
from reports.measured import MeasuredCell, TrialView
from results import format as text
from results.records import Cell

RK4 = Cell(problem="cosine", backend="node", solver="rk4", horizon=1.0, n_outputs=2, dt=0.1, dtype="float64")


def a_cell(
    cell: Cell = RK4, *, forward_s: float = math.nan, gradient_s: float = math.nan, **metrics: float
) -> MeasuredCell:
    """A measured cell with these metrics; its timings, two processes of five rounds, are all equal."""
    index = MultiIndex.from_product([range(2), range(5)], names=["process_index", "round_index"])
    times = {"forward_s": forward_s, "gradient_s": gradient_s}
    samples = {name: Series(np.full(10, s), index=index) for name, s in times.items() if not math.isnan(s)}
    return MeasuredCell(cell.key, cell, (TrialView("ok", "", 0.1),), metrics=metrics, samples=samples)


def timings(
    seconds: float, processes: Sequence[int], *, rounds: int = 10, spread: float = 0.01, seed: int = 0
) -> Series:
    """Samples of a cell: a load common to all cells in each process and round, and noise of `spread` of its own."""
    index = MultiIndex.from_product([processes, range(rounds)], names=["process_index", "round_index"])
    own = np.random.default_rng(seed).lognormal(0, spread, len(index))
    load = [np.random.default_rng(process).lognormal(process % 3, 0.3, rounds) for process in processes]
    return Series(seconds * np.concatenate(load) * own, index=index)


def in_block(control: MeasuredCell, *cells: MeasuredCell, off: float = 1.0) -> list[MeasuredCell]:
    """The cells beside a control whose twin is `off` times as slow, in every round."""
    twin = {name: off * values for name, values in control.samples.items()}
    block = Block((Control.of(control.key, control.cell, control.samples, twin),))
    return [replace(each, block=block) for each in (control, *cells)]


def plain(message: str) -> str:
    """The message with ordinary spaces for thin ones."""
    return message.replace(text.TIGHT, " ").replace(text.THIN, " ")
