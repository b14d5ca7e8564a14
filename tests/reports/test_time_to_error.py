"""The time to an error: the quickest cells within a target, and the target itself."""

from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.quickest import solver_answers
from reports.views.findings.time_to_error import (
    TimeToError,
    quickest_first,
    quickest_of_each,
    target,
)
from reports.views.parts.answer import Answer
from reports.views.studies import adjoint
from results.records import Goal
from tests.support.answers import assert_held_by_its_table, shown, verdicts
from tests.support.made import RK4, a_cell, in_block, plain, timings


def quickest(cells: list[MeasuredCell]) -> Answer:
    answer, *others = solver_answers(cells)
    for each in (answer, *others):
        assert_held_by_its_table(each)
    return answer


def test_the_winner_is_the_quickest_cell_within_the_target():
    cells = [
        a_cell(replace(RK4, dt=0.1), forward_s=1.0, error=1e-5),
        a_cell(replace(RK4, dt=0.01), forward_s=4.0, error=1e-8),
        a_cell(replace(RK4, solver="dopri8"), forward_s=3.0, error=1e-9),
        a_cell(replace(RK4, solver="euler"), forward_s=0.1, error=1e-1),
    ]
    assert [each.cell.solver for each in quickest_of_each(cells, 1e-6)] == ["dopri8", "rk4"]
    answer = quickest(cells)
    assert plain(answer.sentence) == "dopri8 takes 3.00 s, rk4 1.3 times as long."
    assert verdicts(answer) == {"dopri8": "best", "rk4": "1.3× slower", "euler": "errs 100 000× too much"}
    assert shown(answer.table, "time") == {"dopri8": "1.00×", "rk4": "1.33×", "euler": "–"}


def test_the_best_of_each_library_stands_beside_the_winner_of_all():
    of = {("rk4", "node"): 1.0, ("dopri5", "node"): 2.0, ("dopri5", "other"): 3.0, ("rk4", "other"): 4.0}
    cells = [a_cell(replace(RK4, solver=s, backend=b), forward_s=seconds, error=1e-9) for (s, b), seconds in of.items()]
    answer = quickest(cells)
    assert plain(answer.sentence) == (
        "rk4 on node takes 1.00 s, dopri5 on node 2.0 and dopri5 on other 3.0 times as long."
    )
    remarks = {plain(row.values[0].text): row.values[-1].note for row in answer.table.rows}
    assert [name for name, remark in remarks.items() if remark == "best of other"] == ["dopri5 on other"]


def test_times_that_are_too_uncertain_are_too_close_to_call():
    of = {"rk4": timings(1.0, range(4), seed=1), "dopri8": timings(1.05, range(4), spread=0.5, seed=2)}
    cells = [
        replace(a_cell(replace(RK4, solver=solver), error=1e-9), samples={"forward_s": series})
        for solver, series in of.items()
    ]
    answer = quickest(cells)
    assert " are too close to call at " in answer.sentence
    assert "too uncertain" in verdicts(answer).values()


def test_a_tie_within_the_noise_floor_names_all_that_are_tied():
    of = {"rk4": 1.0, "dopri8": 1.1, "tsit5": 1.12, "euler": 4.0}
    cells = [a_cell(replace(RK4, solver=solver), forward_s=seconds, error=1e-9) for solver, seconds in of.items()]
    assert plain(quickest(in_block(*cells, off=1.05)).sentence) == "rk4 takes 1.00 s, dopri8 1.1 times as long."
    tied = quickest(in_block(*cells, off=1.15))
    assert plain(tied.sentence) == "rk4, dopri8 and tsit5 tie at 1.00 s; euler takes 4.0 times as long."
    assert list(verdicts(tied).values()) == ["best", "no difference", "no difference", "4.0× slower"]


def test_times_of_one_process_are_not_compared():
    cells = [
        replace(a_cell(replace(RK4, solver=solver), error=1e-9), samples={"forward_s": timings(seconds, [0])})
        for solver, seconds in (("rk4", 1.0), ("dopri8", 3.0))
    ]
    answer = quickest(cells)
    assert answer.sentence.endswith("; too few processes were timed to compare dopri8.")
    assert verdicts(answer) == {"rk4": "best", "dopri8": "too few processes"}
    assert not any("inf" in text or "∞" in text for text in shown(answer.table, "time").values())


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
    answer = quickest([first, second])
    assert plain(answer.sentence).startswith("rk4 takes 1.00 s; dopri8, not timed beside it, ")
    assert verdicts(answer)["dopri8"] == "not compared"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([1e-9, 1e-7, 1e-2], 1e-6), ([1e-9, 3e-4, 1e-2], 1e-3), ([2e-4], 1e-3), ([0.0, 0.0], 1e-6), ([1e-3, 1e-3], 1e-3)],
)
def test_the_target_is_an_error_that_two_configurations_reach(errors, expected):
    cells = [a_cell(replace(RK4, solver=f"s{i}"), error=error) for i, error in enumerate(errors)]
    assert target(cells) == pytest.approx(expected)


def test_without_times_there_is_no_answer():
    assert TimeToError.of([a_cell(error=1e-9)]) is None
    assert solver_answers([a_cell(error=1e-9)]) == solver_answers([]) == ()


def test_the_target_is_the_goal_that_the_study_states():
    cells = [
        a_cell(replace(RK4, dt=0.1), forward_s=1.0, error=1e-3),
        a_cell(replace(RK4, dt=0.01), forward_s=9.0, error=1e-7),
        a_cell(replace(RK4, solver="dopri8"), forward_s=3.0, error=1e-9),
    ]
    assert plain(quickest(cells).sentence).startswith("dopri8 takes 3.00 s, ")
    answer = quickest([replace(each, goal=Goal(error=1e-2)) for each in cells])
    assert plain(answer.sentence).startswith("rk4 takes 1.00 s, ")
    assert answer.question == "cosine: which choice reaches an error of 0.01 in the least time?"


def test_a_goal_that_nothing_reaches_is_reported_with_the_least_error():
    answer = quickest([replace(a_cell(forward_s=1.0, error=1e-3), goal=Goal(error=1e-5))])
    assert plain(answer.sentence) == "No choice reaches 1e-05; rk4 comes nearest with 1.0e-03."
    assert verdicts(answer) == {"rk4": "errs 100× too much"}


def test_the_time_to_a_gradient_error_is_reported_if_the_study_states_a_goal_for_it():
    modes = {"backprop": 2.0, "adjoint": 3.0}
    cells = [
        a_cell(replace(RK4, gradient=mode), gradient_s=seconds, gradient_error=1e-6, forward_s=1.0, error=1e-6)
        for mode, seconds in modes.items()
    ]
    assert not any("gradient error of" in one.question for one in adjoint.section("adjoint", cells).answers)
    content = [replace(each, goal=Goal(gradient_error=1e-5)) for each in cells]
    first, *_ = adjoint.section("adjoint", content).answers
    assert_held_by_its_table(first)
    assert first.question == "cosine: which choice reaches a gradient error of 1e-05 in the least time?"
    assert plain(first.sentence) == "backprop takes 2.00 s, adjoint 1.5 times as long."


def leaders(seconds: dict[str, dict[float, float]], off: float = 1.0) -> Answer:
    """The answer on who is quickest along the error: by solver, the seconds to each error."""
    cells = [
        a_cell(replace(RK4, solver=solver, dt=error), forward_s=s, error=error)
        for solver, of_error in seconds.items()
        for error, s in of_error.items()
    ]
    answers = solver_answers(in_block(*cells, off=off) if off != 1.0 else cells)
    for each in answers:
        assert_held_by_its_table(each)
    return next(each for each in answers if "who is quickest" in each.question)


def test_a_crossover_along_the_error_names_both_winners_and_where():
    answer = leaders({"low": {0.01: 1.0, 0.001: 4.0}, "high": {0.01: 2.0, 0.001: 2.0}})
    assert plain(answer.sentence) == (
        "low is quickest to 0.01, high from 0.001, where the former takes 2.0 times as long."
    )
    assert verdicts(answer) == {"low": "quickest at 2 of 3", "high": "quickest at 1 of 3"}


def test_a_change_of_order_within_the_noise_is_no_crossover():
    answer = leaders({"low": {0.01: 1.0, 0.001: 2.1}, "high": {0.01: 1.04, 0.001: 2.0}}, off=1.1)
    assert plain(answer.sentence) == ("low and high tie at every error from 0.1 to 0.001.")


def test_a_winner_at_every_error_is_told_so():
    answer = leaders({"low": {0.01: 1.0, 0.001: 2.0}, "high": {0.01: 3.0, 0.001: 4.0}})
    assert plain(answer.sentence).startswith("low leads or ties at every error from 0.1 to 0.001.")
    assert verdicts(answer)["high"] == "slower at all"
