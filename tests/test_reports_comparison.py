from dataclasses import replace

import pytest
from made import RK4, a_cell, plain

from reports.views.comparison import Spread, library_finding, race, race_finding, target


def test_the_race_goes_to_the_quickest_cell_within_the_target():
    cells = [
        a_cell(replace(RK4, dt=0.1), forward_s=1.0, error=1e-5),
        a_cell(replace(RK4, dt=0.01), forward_s=4.0, error=1e-8),
        a_cell(replace(RK4, solver="dopri8"), forward_s=3.0, error=1e-9),
        a_cell(replace(RK4, solver="euler"), forward_s=0.1, error=1e-1),
    ]
    assert [each.cell.solver for each in race(cells, 1e-6)] == ["dopri8", "rk4"]
    finding = race_finding("cosine", cells)
    assert finding.answer == "dopri8 on node"
    assert "1e-06: 3.00 s (dt = 0.1," in plain(finding.evidence)
    assert "rk4 on node, 1.33× [1.33, 1.33] the time" in plain(finding.evidence)


def test_a_race_within_the_noise_has_two_winners():
    noisy = a_cell(replace(RK4, solver="dopri8"), forward_s=1.0, error=1e-9)
    noisy.samples["forward_s"].iloc[::2] = 1.2
    finding = race_finding("cosine", [noisy, a_cell(forward_s=1.05, error=1e-7)])
    assert finding.answer == "rk4 on node or dopri8 on node"
    assert finding.evidence.endswith("Too close to call.")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([1e-9, 1e-7, 1e-2], 1e-6), ([1e-9, 3e-4, 1e-2], 1e-3), ([2e-4], 1e-3), ([0.0, 0.0], 1e-6), ([1e-3, 1e-3], 1e-3)],
)
def test_the_target_is_one_that_two_choices_reach(errors, expected):
    cells = [a_cell(replace(RK4, solver=f"s{i}"), error=error) for i, error in enumerate(errors)]
    assert target(cells) == pytest.approx(expected)


def test_nothing_timed_is_no_race():
    assert race_finding("cosine", [a_cell(error=1e-9)]) is None
    assert race_finding("cosine", []) is None


def test_libraries_are_compared_over_equal_cells_only():
    cells = [
        a_cell(RK4, forward_s=1.0),
        a_cell(replace(RK4, backend="torchdiffeq"), forward_s=3.0),
        a_cell(replace(RK4, backend="torchdiffeq", dt=0.5), forward_s=0.001),
    ]
    finding = library_finding(cells, "forward_s")
    assert finding.answer == "node"
    assert "torchdiffeq over node: 3.00×" in finding.evidence


def test_of_three_libraries_the_fastest_wins():
    times = {"node": 2.0, "torchdiffeq": 3.0, "torchode": 1.0}
    cells = [a_cell(replace(RK4, backend=backend), forward_s=s) for backend, s in times.items()]
    finding = library_finding(cells, "forward_s")
    assert finding.answer == "torchode"
    assert "node over torchode: 2.00×; torchdiffeq over torchode: 3.00×" in finding.evidence


def test_one_library_wins_nothing():
    assert library_finding([a_cell(forward_s=1.0)], "forward_s") is None


def test_a_spread_is_clear_if_three_in_four_agree():
    assert Spread.of([0.5, 0.6, 0.7, 1.5]).clear
    assert not Spread.of([0.5, 0.6, 1.4, 1.5]).clear
