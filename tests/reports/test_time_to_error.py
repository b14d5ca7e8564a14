"""The time to an error: the quickest cells within a target, and the target itself."""

from dataclasses import replace

import pytest

from reports.views.findings.time_to_error import (
    TimeToError,
    quickest_first,
    quickest_of_each,
    target,
    time_to_error_findings,
)
from reports.views.studies import adjoint
from results.records import Goal
from tests.support.made import RK4, a_cell, in_block, plain, timings


def test_the_winner_is_the_quickest_cell_within_the_target():
    cells = [
        a_cell(replace(RK4, dt=0.1), forward_s=1.0, error=1e-5),
        a_cell(replace(RK4, dt=0.01), forward_s=4.0, error=1e-8),
        a_cell(replace(RK4, solver="dopri8"), forward_s=3.0, error=1e-9),
        a_cell(replace(RK4, solver="euler"), forward_s=0.1, error=1e-1),
    ]
    assert [each.cell.solver for each in quickest_of_each(cells, 1e-6)] == ["dopri8", "rk4"]
    (finding,) = time_to_error_findings(cells)
    assert finding.answer == "dopri8 on node"
    assert "1e-06: 3.00 s (dt = 0.1," in plain(finding.evidence)
    assert plain(finding.evidence).endswith("rk4 on node, 1.33× [1.33, 1.33] the time.")


def test_times_that_are_too_uncertain_give_two_winners():
    noisy = a_cell(replace(RK4, solver="dopri8"), forward_s=1.0, error=1e-9)
    noisy.samples["forward_s"].iloc[::2] = 1.2
    (finding,) = time_to_error_findings([noisy, a_cell(forward_s=1.05, error=1e-7)])
    assert finding.answer == "rk4 on node or dopri8 on node"
    assert finding.evidence.endswith("too uncertain to call a difference.")


def test_times_within_the_noise_floor_give_two_winners():
    cells = [a_cell(forward_s=1.0, error=1e-9), a_cell(replace(RK4, solver="dopri8"), forward_s=1.1, error=1e-9)]
    (called,) = time_to_error_findings(in_block(*cells, off=1.05))
    assert called.answer == "rk4 on node"
    (close,) = time_to_error_findings(in_block(*cells, off=1.15))
    assert close.answer == "rk4 on node or dopri8 on node"
    assert plain(close.evidence).endswith("1.10× [1.10, 1.10] the time: no difference beyond the noise floor of 15 %.")


def test_cells_are_ranked_by_ratios_to_the_control_and_not_by_seconds_of_other_rounds():
    control = replace(a_cell(), samples={"forward_s": timings(0.1, range(6))})
    idle, loaded = (0, 3), (2, 5)  # processes whose loads differ by a factor of e squared
    quick = replace(a_cell(replace(RK4, solver="a")), samples={"forward_s": timings(1.0, loaded, seed=1)})
    slow = replace(a_cell(replace(RK4, solver="b")), samples={"forward_s": timings(2.0, idle, seed=2)})
    assert quick.value("forward_s") > slow.value("forward_s")
    assert quickest_first([quick, slow]) == [slow, quick]
    with_ratios = [
        replace(each, ratios={"forward_s": control_ratio(each, control)}) for each in in_block(control, quick, slow)[1:]
    ]
    assert [each.cell.solver for each in quickest_first(with_ratios)] == ["a", "b"]


def control_ratio(cell, control):
    from results.statistics.ratio import paired_ratio

    return paired_ratio(cell.samples["forward_s"], control.samples["forward_s"])


def test_the_second_best_of_other_rounds_is_named_with_its_seconds():
    first = a_cell(forward_s=1.0, error=1e-9)
    second = a_cell(replace(RK4, solver="dopri8"), error=1e-9)
    second = replace(second, samples={"forward_s": timings(4.0, [7], spread=0.0)})
    (finding,) = time_to_error_findings([first, second])
    assert finding.answer == "rk4 on node"
    assert "Next: dopri8 on node, " in finding.evidence
    assert plain(finding.evidence).endswith(" s.")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([1e-9, 1e-7, 1e-2], 1e-6), ([1e-9, 3e-4, 1e-2], 1e-3), ([2e-4], 1e-3), ([0.0, 0.0], 1e-6), ([1e-3, 1e-3], 1e-3)],
)
def test_the_target_is_an_error_that_two_configurations_reach(errors, expected):
    cells = [a_cell(replace(RK4, solver=f"s{i}"), error=error) for i, error in enumerate(errors)]
    assert target(cells) == pytest.approx(expected)


def test_without_times_there_is_no_finding():
    assert TimeToError.of([a_cell(error=1e-9)]) is None
    assert time_to_error_findings([a_cell(error=1e-9)]) == time_to_error_findings([]) == ()


def test_the_target_is_the_goal_that_the_study_states():
    cells = [
        a_cell(replace(RK4, dt=0.1), forward_s=1.0, error=1e-3),
        a_cell(replace(RK4, dt=0.01), forward_s=9.0, error=1e-7),
        a_cell(replace(RK4, solver="dopri8"), forward_s=3.0, error=1e-9),
    ]
    assert time_to_error_findings(cells)[0].answer == "dopri8 on node"
    content = [replace(each, goal=Goal(error=1e-2)) for each in cells]
    (finding,) = time_to_error_findings(content)
    assert finding.answer == "rk4 on node"
    assert "to an error of 0.01: " in plain(finding.evidence)


def test_a_goal_that_nothing_reaches_is_reported_with_the_least_error():
    (finding,) = time_to_error_findings([replace(a_cell(forward_s=1.0, error=1e-3), goal=Goal(error=1e-5))])
    assert finding.answer == "none reaches an error of 1e-05"
    assert plain(finding.evidence) == "The least is 1.0e-03, by rk4 on node (dt = 0.1)."


def test_the_time_to_a_gradient_error_is_reported_if_the_study_states_a_goal_for_it():
    modes = {"backprop": 2.0, "adjoint": 3.0}
    cells = [
        a_cell(replace(RK4, gradient=mode), gradient_s=seconds, gradient_error=1e-6, forward_s=1.0, error=1e-6)
        for mode, seconds in modes.items()
    ]
    assert not any("gradient error of" in plain(one.evidence) for one in adjoint.section("adjoint", cells).findings)
    content = [replace(each, goal=Goal(gradient_error=1e-5)) for each in cells]
    first, *_ = adjoint.section("adjoint", content).findings
    assert first.answer == "rk4 on node with backprop"
    assert "The least time to a gradient error of 1e-05: 2.00 s" in plain(first.evidence)
