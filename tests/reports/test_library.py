"""The comparison of libraries over equal cells, and its notes."""

from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.comparison import Comparison, compare
from reports.views.findings.library import ASKED, NO_WINNER, library_finding, library_notes, library_pairs
from reports.views.findings.spread import Spread
from reports.views.parts.section import Finding
from results.statistics.ratio import Ratio
from tests.support.made import RK4, a_cell, in_block, plain


def found(cells: list[MeasuredCell]) -> Finding | None:
    return library_finding(cells, "forward_s", compare(library_pairs(cells, "forward_s"), "forward_s"))


def test_libraries_are_compared_over_equal_cells_only():
    cells = [
        a_cell(RK4, forward_s=1.0),
        a_cell(replace(RK4, backend="torchdiffeq"), forward_s=3.0),
        a_cell(replace(RK4, backend="torchdiffeq", dt=0.5), forward_s=0.001),
    ]
    finding = found(cells)
    assert finding.answer == "node"
    assert plain(finding.evidence) == "Time of equal cells, torchdiffeq over node: 3.00× [3.00, 3.00]."


def test_of_three_libraries_the_fastest_wins():
    times = {"node": 2.0, "torchdiffeq": 3.0, "torchode": 1.0}
    finding = found([a_cell(replace(RK4, backend=backend), forward_s=s) for backend, s in times.items()])
    assert finding.answer == "torchode"
    assert "node over torchode: 2.00×" in finding.evidence
    assert "torchdiffeq over torchode: 3.00×" in finding.evidence


def test_libraries_within_the_noise_floor_are_not_distinguished():
    times = {"node": 1.0, "torchdiffeq": 1.04, "torchode": 3.0}
    cells = [a_cell(replace(RK4, backend=backend), forward_s=s) for backend, s in times.items()]
    finding = found(in_block(*cells, off=1.05))
    assert finding.answer == "node or torchdiffeq"
    assert "1.04× [1.04, 1.04], no difference beyond the noise floor of 5.0 %" in plain(finding.evidence)


def test_libraries_that_win_in_turn_have_no_clear_winner():
    times = {0.1: (1.0, 2.0), 0.2: (2.0, 1.0), 0.3: (1.0, 2.0)}
    cells = [
        a_cell(replace(RK4, backend=backend, dt=dt), forward_s=s)
        for dt, pair in times.items()
        for backend, s in zip(("node", "torchdiffeq"), pair, strict=True)
    ]
    assert found(cells).answer == NO_WINNER


def test_a_single_library_gives_no_finding():
    assert found([a_cell(forward_s=1.0)]) is None


def test_a_spread_is_clear_if_three_in_four_agree():
    assert Spread.counted([0.5, 0.6, 0.7, 1.5]).clear
    assert not Spread.counted([0.5, 0.6, 1.4, 1.5]).clear


@pytest.mark.parametrize(("n", "clear"), [(4, True), (3, True), (2, False), (0, False)])
def test_only_significant_differences_of_times_count(n, clear):
    compared = [Comparison(Ratio(2.0, 1.9, 2.1, 9), 1.02, index < n) for index in range(4)]
    spread = Spread.timed(compared)
    assert (spread.clear, spread.equal) == (clear, n == 0)
    assert ("too uncertain" in str(spread)) == (n == 0)


def test_a_comparison_with_torchdiffeq_has_a_note_on_how_it_is_called():
    ours, theirs = a_cell(RK4, forward_s=1.0), a_cell(replace(RK4, backend="torchdiffeq"), forward_s=3.0)
    assert library_notes([ours]) == ()
    assert library_notes([ours, theirs]) == (ASKED,)


@pytest.mark.parametrize(
    ("changes", "final", "noted"),
    [
        ({}, 1e-7, True),
        ({}, 1e-5, False),  # not far more
        ({"backend": "node"}, 1e-7, False),
        ({"n_outputs": 2}, 1e-7, False),
        ({"dt": 0.1, "rtol": None, "atol": None}, 1e-7, False),  # each output is the end of a step
        ({"dt": 0.3, "rtol": None, "atol": None}, 1e-7, True),
    ],
)
def test_a_peer_with_far_larger_errors_at_outputs_than_at_the_end_has_a_note_on_why(changes, final, noted):
    cell = replace(
        RK4, backend="torchdiffeq", solver="dopri8", horizon=1.0, n_outputs=11, dt=None, rtol=1e-7, atol=1e-9
    )
    notes = library_notes([a_cell(replace(cell, **changes), error=1.2e-5, error_final=final)])
    assert any("1 cell of torchdiffeq (dopri8)" in note and "120 times" in note for note in notes) == noted
