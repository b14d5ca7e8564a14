import math
from dataclasses import replace

import pytest
from made import RK4, a_cell

from reports.measured import MeasuredCell
from reports.views.comparison import NO_WINNER
from reports.views.modes import mode_finding, mode_rows


def modes(**gradient_s: float) -> list[MeasuredCell]:
    return [a_cell(replace(RK4, gradient=mode), gradient_s=s, peak_bytes=1 / s) for mode, s in gradient_s.items()]


def test_every_mode_is_compared_with_backprop():
    rows = mode_rows(modes(reversible=3.0, backprop=1.0, checkpointed=2.0))
    assert {row.mode: row.time_ratio for row in rows} == {"reversible": 3.0, "checkpointed": 2.0}
    time = mode_finding("time", rows, lambda row: row.time_ratio)
    memory = mode_finding("memory", rows, lambda row: row.quotient("peak_bytes"))
    assert (time.answer, memory.answer) == ("backprop", "reversible")
    assert "reversible over backprop: 3.00× on node" in time.evidence


def test_without_backprop_another_mode_is_the_baseline():
    (row,) = mode_rows(modes(reversible=3.0, checkpointed=2.0))
    assert (row.mode, row.baseline.cell.gradient) == ("reversible", "checkpointed")


def test_a_mode_without_its_baseline_is_not_compared():
    assert mode_rows([a_cell(replace(RK4, gradient="adjoint", dt=0.5), gradient_s=1.0), *modes(backprop=1.0)]) == []
    assert mode_finding("time", [], lambda row: row.time_ratio) is None


def test_modes_that_win_in_turn_have_no_clear_winner():
    cells = [
        a_cell(replace(RK4, gradient=mode, seed=seed), gradient_error=error)
        for seed, pair in enumerate([(1.0, 2.0), (2.0, 1.0)])
        for mode, error in zip(("backprop", "adjoint"), pair, strict=True)
    ]
    assert mode_finding("error", mode_rows(cells), lambda row: row.quotient("gradient_error")).answer == NO_WINNER


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_quotient_needs_two_positive_numbers(value):
    own, base = (a_cell(replace(RK4, gradient=mode), peak_bytes=1.0) for mode in ("adjoint", "backprop"))
    (row,) = mode_rows([replace(own, metrics={"peak_bytes": value}), base])
    assert math.isnan(row.quotient("peak_bytes"))
