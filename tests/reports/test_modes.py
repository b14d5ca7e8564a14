"""The comparison of gradient modes with backprop."""

import math
from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.library import NO_WINNER
from reports.views.findings.modes import CLOCK, ModeRow, mode_finding, mode_pairs, mode_rows, time_finding
from tests.support.made import RK4, a_cell, in_block, plain


def modes(**gradient_s: float) -> list[MeasuredCell]:
    return [a_cell(replace(RK4, gradient=mode), gradient_s=s, peak_bytes=1 / s) for mode, s in gradient_s.items()]


def rows_of(cells: list[MeasuredCell]) -> list[ModeRow]:
    return mode_rows(cells, compare(mode_pairs(cells), CLOCK))


def test_every_mode_is_compared_with_backprop():
    rows = rows_of(modes(reversible=3.0, backprop=1.0, checkpointed=2.0))
    ratios = {row.mode: row.time.ratio.value for row in rows}
    assert ratios == pytest.approx({"reversible": 3.0, "checkpointed": 2.0})
    time = time_finding("time", rows)
    memory = mode_finding("memory", rows, lambda row: row.quotient("peak_bytes"))
    assert (time.answer, memory.answer) == ("backprop", "reversible")
    assert "reversible over backprop: 3.00× [3.00, 3.00] on node" in plain(time.evidence)


def test_without_backprop_the_modes_are_compared_with_another_mode():
    (row,) = rows_of(modes(reversible=3.0, checkpointed=2.0))
    assert (row.mode, row.compared_with.cell.gradient) == ("reversible", "checkpointed")


def test_a_mode_without_equal_cells_of_another_mode_is_not_compared():
    assert rows_of([a_cell(replace(RK4, gradient="adjoint", dt=0.5), gradient_s=1.0), *modes(backprop=1.0)]) == []
    assert time_finding("time", []) is None


def test_modes_that_win_in_turn_have_no_clear_winner():
    cells = [
        a_cell(replace(RK4, gradient=mode, seed=seed), gradient_error=error)
        for seed, pair in enumerate([(1.0, 2.0), (2.0, 1.0)])
        for mode, error in zip(("backprop", "adjoint"), pair, strict=True)
    ]
    assert mode_finding("error", rows_of(cells), lambda row: row.quotient("gradient_error")).answer == NO_WINNER


def test_modes_within_the_noise_floor_are_not_distinguished():
    rows = rows_of(in_block(*modes(backprop=1.0, adjoint=0.97), off=1.05))
    assert not rows[0].time.differs
    finding = time_finding("time", rows)
    assert finding.answer == "backprop or adjoint"
    assert "no difference beyond the noise floor of 5.0 % on node" in plain(finding.evidence)
    assert mode_finding("memory", rows, lambda row: row.quotient("peak_bytes")).answer == "backprop"


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_quotient_needs_two_positive_numbers(value):
    own, base = (a_cell(replace(RK4, gradient=mode), peak_bytes=1.0) for mode in ("adjoint", "backprop"))
    (row,) = rows_of([replace(own, metrics={"peak_bytes": value}), base])
    assert math.isnan(row.quotient("peak_bytes"))
