"""Measured cells made up one by one, for what is tested without a database."""

import math

import numpy as np
from pandas import MultiIndex, Series

from reports import format as text
from reports.measured import MeasuredCell, TrialView
from results.records import Cell

RK4 = Cell(problem="cosine", backend="node", solver="rk4", horizon=1.0, n_outputs=2, dt=0.1, dtype="float64")


def a_cell(
    cell: Cell = RK4, *, forward_s: float = math.nan, gradient_s: float = math.nan, **metrics: float
) -> MeasuredCell:
    """A cell with these metrics; its timings, two processes of five rounds, are all equal."""
    index = MultiIndex.from_product([range(2), range(5)], names=["process_index", "round_index"])
    times = {"forward_s": forward_s, "gradient_s": gradient_s}
    samples = {name: Series(np.full(10, s), index=index) for name, s in times.items() if not math.isnan(s)}
    return MeasuredCell(cell.key, cell, (TrialView("ok", "", 0.1),), metrics=metrics, samples=samples)


def plain(said: str) -> str:
    """The text with ordinary spaces."""
    return said.replace(text.TIGHT, " ").replace(text.THIN, " ")
