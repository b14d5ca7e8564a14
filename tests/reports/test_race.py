"""The answers on training: the smallest loss so far, and the race to a target, over seeds that disagree."""

from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.race import loss_answer, target_answer, trained_names
from reports.views.findings.trained import target_of, trained
from reports.views.parts.answer import Answer
from results.records import Goal
from tests.support.answers import assert_held_by_its_table, verdicts
from tests.support.made import plain
from tests.support.trained import CELL, INF, NAN, RK4, learned, one, seeds


def answers(make, *cells: MeasuredCell) -> Answer:
    answer = make("spiral_net", trained(cells)["spiral_net"])
    assert_held_by_its_table(answer)
    return answer


@pytest.mark.parametrize(
    ("finals", "sentence", "verdict"),
    [
        ([(1.0,), (3.0,)], "euler comes to a loss of 1.00; rk4 3.0 times the loss.", "3.0× the loss"),
        ([(1.0,), (1.9,)], "euler and rk4 tie at a loss of 1.00; ", "no difference"),  # within a factor of two
        ([(1.0, 1.1, 1.2), (3.0, 3.1, 3.2)], "euler comes to a loss of 1.10; rk4 2.8 times", "2.8× the loss"),
        ([(1.0, 1.1, 3.05), (3.0, 3.1, 3.2)], "euler and rk4 tie at a loss of 1.10; ", "worse in 2 of 3 seeds"),
        (
            [(1.0, 1.1, 3.5), (3.0, 3.1, 1.2)],
            "euler and rk4 tie at a loss of 1.10; ",
            "worse in 2 and better in 1 of 3 seeds",
        ),
    ],
)
def test_the_smallest_loss_is_named_only_if_each_model_of_the_other_is_worse(finals, sentence, verdict):
    answer = answers(loss_answer, *seeds(finals=finals[0]), *seeds(RK4, finals=finals[1]))
    assert plain(answer.sentence).startswith(sentence)
    assert verdicts(answer) == {"euler": "best", "rk4": verdict}


def test_the_loss_so_far_counts_and_not_that_of_the_last_iteration():
    unlucky = learned(RK4, losses=(8.0, 1.0, 7.0))
    answer = answers(loss_answer, learned(losses=(8.0, 4.0, 3.0)), unlucky)
    assert verdicts(answer) == {"rk4": "best", "euler": "3.0× the loss"}
    assert one([learned(losses=(8.0, 4.0, INF))]).least_losses == {0: 4.0}
    assert one([learned(losses=(NAN, NAN, NAN))]).least_losses == {}


@pytest.mark.parametrize(
    ("second_s", "sentence", "verdict"),
    [
        ((1.0, 2.0), "euler takes 4.00 s; rk4 2.0 times the time.", "2.0× slower"),
        ((1.0, 1.4), "euler and rk4 tie at 4.00 s.", "no difference"),  # equal work may differ by so much
        ((2.0, 1.0), "rk4 takes 4.00 s; euler 2.0 times the time.", "2.0× slower"),
    ],
)
def test_the_quickest_to_the_target_is_named_only_beyond_the_spread_of_equal_work(second_s, sentence, verdict):
    answer = answers(target_answer, learned(second_s=second_s[0]), learned(RK4, second_s=second_s[1]))
    assert answer.question == "spiral_net: which choice trains to a loss of 1 in the least time?"
    assert plain(answer.sentence) == sentence
    assert list(verdicts(answer).values()) == ["best", verdict]


def test_a_race_counts_the_seeds_that_reach_the_target():
    sure, partly = seeds(finals=(1.0, 1.0, 1.0), second_s=3.0), seeds(RK4, finals=(0.9, 6.0, 0.8), second_s=0.1)
    never = learned(replace(CELL, solver="midpoint"), second_s=0.1, losses=(8.0, 8.0, 8.0))
    wanted = [replace(each, goal=Goal(loss=2.0)) for each in (*sure, *partly, never)]
    answer = answers(target_answer, *wanted)
    assert verdicts(answer) == {"euler": "best", "rk4": "reached by 2 of 3 seeds", "midpoint": "not reached"}
    assert plain(answer.sentence) == "euler takes 9.00 s; 1 of 3 choices reaches it with every seed."


def test_the_target_loss_is_the_goal_of_the_study_even_if_nothing_reaches_it():
    cells = [learned(second_s=3.0), learned(RK4, second_s=1.0)]
    for loss, sentence in ((3.0, "rk4 takes "), (1e-9, "No choice comes to 1e-09 with every seed; ")):
        goal = [replace(each, goal=Goal(loss=loss)) for each in cells]
        assert target_of(trained(goal)["spiral_net"]) == loss
        assert answers(target_answer, *goal).sentence.startswith(sentence)


def test_choices_of_one_configuration_are_named_with_what_differs():
    choices = trained([learned(), learned(replace(CELL, optimiser="SGD")), learned(replace(CELL, dt=0.05))])
    named = trained_names(choices["spiral_net"])
    assert [plain(name) for name in named.values()] == [
        "euler, dt = 0.025, Adam 0.01",
        "euler, dt = 0.025, SGD 0.01",
        "euler, dt = 0.05, Adam 0.01",
    ]
