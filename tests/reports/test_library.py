"""The comparison of libraries over equal cells, and its notes."""

from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.library import library_answers, library_pairs
from reports.views.findings.library_notes import ASKED, library_notes
from reports.views.parts.answer import Answer
from tests.support.answers import assert_held_by_its_table, shown, verdicts
from tests.support.made import RK4, a_cell, in_block, plain, timings

CLOCK = "forward_s"


def answered(cells: list[MeasuredCell]) -> Answer:
    (answer,) = library_answers(cells, CLOCK, "error", compare(library_pairs(cells, CLOCK), CLOCK))
    assert_held_by_its_table(answer)
    return answer


def of_libraries(times: dict[str, float], **changes: object) -> list[MeasuredCell]:
    return [a_cell(replace(RK4, backend=backend, **changes), forward_s=s) for backend, s in times.items()]


def test_libraries_are_compared_over_equal_cells_only():
    lone = a_cell(replace(RK4, backend="torchdiffeq", dt=0.5), forward_s=0.001)
    answer = answered([*of_libraries({"node": 1.0, "torchdiffeq": 4.0}), lone])
    assert plain(answer.sentence) == "torchdiffeq takes 4.0 times as long as node."
    assert verdicts(answer) == {"rk4": "4.0× slower"}
    assert shown(answer.table, "time") == {"rk4": "4.00×"}


def test_of_three_libraries_all_others_are_compared_with_the_fastest():
    answer = answered(of_libraries({"node": 2.0, "torchdiffeq": 3.0, "torchode": 1.0}))
    assert answer.table.caption == "Each library over torchode"
    assert plain(answer.sentence) == (
        "node takes 2.0 times as long as torchode; torchdiffeq takes 3.0 times as long as torchode."
    )


def test_libraries_within_the_noise_floor_tie():
    answer = answered(in_block(*of_libraries({"node": 1.0, "torchdiffeq": 1.04}), off=1.05))
    assert plain(answer.sentence) == "torchdiffeq and node tie in 1 equal cell, with ratios of times of 1.04×."
    assert verdicts(answer) == {"rk4": "no difference"}


def test_libraries_that_win_in_turn_are_counted_in_both_directions():
    times = {0.1: (1.0, 2.0), 0.2: (2.0, 1.0), 0.3: (1.0, 4.0)}
    cells = [
        each
        for dt, (ours, theirs) in times.items()
        for each in of_libraries({"node": ours, "torchdiffeq": theirs}, dt=dt)
    ]
    answer = answered(cells)
    assert plain(answer.sentence) == (
        "torchdiffeq takes 0.50 to 4.0 times as long as node, slower in 2 of 3 equal cells, faster in 1."
    )
    assert verdicts(answer) == {"rk4": "slower in 2 of 3, faster in 1 of 3"}


def test_libraries_timed_in_one_process_are_not_compared():
    cells = [
        replace(a_cell(replace(RK4, backend=backend)), samples={CLOCK: timings(seconds, [0])})
        for backend, seconds in (("node", 1.0), ("torchdiffeq", 3.0))
    ]
    answer = answered(cells)
    assert answer.sentence == "Too few processes were timed to compare torchdiffeq with node."
    assert verdicts(answer) == {"rk4": "too few processes"}


def test_a_single_library_gives_no_answer():
    assert library_answers([a_cell(forward_s=1.0)], CLOCK, "error", {}) == ()


def test_a_comparison_with_torchdiffeq_has_a_note_on_how_it_is_called():
    ours, theirs = of_libraries({"node": 1.0, "torchdiffeq": 3.0})
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
