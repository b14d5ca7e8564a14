"""The answer on trained models that are solved with another solver: models are counted, in both directions."""

from dataclasses import replace

from reports.measured import MeasuredCell
from reports.views.findings.race import trained_names
from reports.views.findings.trained import trained
from reports.views.findings.transfer import transfer_answer, transfers
from reports.views.parts.answer import Answer
from reports.views.studies import spiral
from tests.support.answers import assert_held_by_its_table, shown, verdicts
from tests.support.made import plain
from tests.support.trained import CELL, INF, NAN, learned, one


def test_a_model_survives_up_to_half_as_much_loss_again_and_each_evaluation_has_its_row():
    solve_specs = [(1.5, 4001.0, 1.0), (1.6, 500.0, 0.0)]
    fine, lost = transfers([one([learned(evaluation=solve_specs)])])
    assert (fine.solve, fine.ratio.median, fine.verdict) == ("rk4 dt=0.025", 1.5, "1 of 1 survives")
    assert (lost.solve, lost.ratio.median, lost.verdict) == ("dopri5 rtol=1e-06 atol=1e-08", 1.6, "0 of 1 survive")
    assert (fine.own_backend, lost.own_backend) == (True, False)


def survived(*cells: MeasuredCell) -> Answer:
    choices = trained(cells)["spiral_net"]
    answer = transfer_answer("spiral_net", transfers(choices), trained_names(choices))
    assert_held_by_its_table(answer)
    return answer


def test_models_are_counted_that_survive_and_that_improve():
    """Eight models, of which one is lost, and one is better under the other solver than under its own."""
    ratios = [1.0, 1.2, 6.0, 1.0, 1.0, 1.1, 0.5, 1.0]
    cells = [
        learned(replace(CELL, seed=seed), losses=(8.0, 4.0, 2.0), evaluation=[(2.0 * ratio, 1.0, 1.0)])
        for seed, ratio in enumerate(ratios)
    ]
    answer = survived(*cells)
    assert plain(answer.sentence) == "7 of 8 models survive; 1 improves; one of euler has 6.0 times the loss."
    assert verdicts(answer) == {"euler": "7 of 8 survive, 1 improves"}
    assert shown(answer.table, "loss ratio") == {"euler": "0.500× to 6.00×"}


def test_a_model_that_cannot_be_solved_has_not_survived():
    (row,) = transfers([one([learned(evaluation=[(INF, NAN, 1.0)])])])
    assert (row.verdict, row.nfe.n) == ("cannot be solved", 0)
    assert (
        survived(learned(evaluation=[(INF, NAN, 1.0)])).sentence
        == "0 of 1 model survive; one of euler cannot be solved."
    )


def test_without_evaluations_there_is_no_table_and_no_answer():
    section = spiral.section("spiral", [learned()])
    assert len(section.tables) == 1
    assert not any("another solver" in answer.question for answer in section.answers)
    assert transfer_answer("", [], {}) is None
    assert transfers([one([learned(evaluation=[(1.0, 1.0, 1.0)], losses=(4.0, 2.0, INF))])])[0].verdict == ""
