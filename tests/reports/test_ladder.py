"""The ladder of choices: the best cell for each error that is good enough, and how surely it is better than others."""

import math
from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.chooser import choices, compared, sentence
from reports.views.findings.ladder import RIVALS, TASKS, Ladder, ladders
from tests.support.made import RK4, a_cell, in_block, plain, timings

SOLVE, GRADIENT, TRAINING = TASKS


def solver(name: str, **numbers: float) -> MeasuredCell:
    return a_cell(replace(RK4, solver=name), **numbers)


def ladder(cells: list[MeasuredCell], cost: str = "time") -> Ladder:
    (found,) = [each for each in ladders(cells) if each.cost.name == cost]
    return found


def test_a_larger_error_that_is_good_enough_allows_a_cheaper_cell() -> None:
    cells = [solver("exact", forward_s=4.0, error=1e-9), solver("crude", forward_s=1.0, error=1e-3)]
    found = ladder(cells)
    assert found.at(1e-10) is None
    assert [found.at(error).best.cell.solver for error in (1e-9, 9e-4, 1e-3, 1.0)] == [
        "exact",
        "exact",
        "crude",
        "crude",
    ]
    assert found.errors == (1e-9, 1e-3)


def test_a_cell_that_is_less_exact_and_dearer_is_never_chosen() -> None:
    cells = [solver("good", forward_s=1.0, error=1e-6), solver("bad", forward_s=2.0, error=1e-3)]
    assert {step.best.cell.solver for step in ladder(cells).steps} == {"good"}


def test_errors_that_look_alike_are_alike() -> None:
    """A difference of rounding is no reason to take a cell that takes twice as long."""
    cells = [solver("slow", forward_s=2.0, error=7.1e-6), solver("quick", forward_s=1.0, error=7.1e-6 + 1e-12)]
    assert [step.best.cell.solver for step in ladder(cells).steps] == ["quick"]


def test_each_cost_has_its_own_choice() -> None:
    lean = solver("lean", forward_s=2.0, error=1e-6, peak_bytes=100.0, nfe_forward=10.0)
    quick = solver("quick", forward_s=1.0, error=1e-6, peak_bytes=300.0, nfe_forward=30.0)
    found = {each.cost.name: each.at(1e-6) for each in ladders([lean, quick])}
    assert {cost: step.best.cell.solver for cost, step in found.items()} == {
        "time": "quick", "memory": "lean", "calls": "lean",
    }  # fmt: skip
    assert found["memory"].rivals[0].ratio == pytest.approx(3.0)


def test_times_within_the_noise_floor_are_no_difference() -> None:
    cells = [solver("a", forward_s=1.0, error=1e-9), solver("b", forward_s=1.1, error=1e-9)]
    for off, differs in ((1.05, True), (1.15, False)):
        found = ladder(in_block(*cells, off=off))
        (rival,) = found.at(1e-9).rivals
        assert (rival.comparison.differs, rival.ratio) == (differs, pytest.approx(1.1))
    said = plain(sentence(found, found.at(1e-9)))
    assert said.startswith(
        "b on node, dt = 0.1 may be as good: it takes 1.10 times as long, 95 % interval 1.10 to 1.10"
    )


def test_times_of_cells_that_share_no_round_are_not_compared() -> None:
    cells = [
        replace(solver(name, error=1e-9), samples={"forward_s": timings(seconds, processes)})
        for name, seconds, processes in (("a", 1.0, (0, 3)), ("b", 2.0, (1, 4)))
    ]
    found = ladder(cells)
    (rival,) = found.at(1e-9).rivals
    assert math.isnan(rival.ratio)
    assert compared(rival) == "not compared"
    assert sentence(found, found.at(1e-9)).endswith("; the two were not compared.")


def test_without_rivals_that_is_said() -> None:
    found = ladder([solver("alone", forward_s=1.0, error=1e-9)])
    assert sentence(found, found.at(1e-9)) == "No other configuration is as exact."


def test_a_solve_a_gradient_and_a_training_are_tasks_of_their_own_and_so_are_settings() -> None:
    cells = [
        solver("a", forward_s=1.0, error=1e-3),
        a_cell(replace(RK4, gradient="adjoint"), gradient_s=1.0, gradient_error=1e-3),
        a_cell(replace(RK4, gradient="adjoint", iterations=5), train_s=1.0, final_loss=0.1),
        a_cell(replace(RK4, horizon=2.0), forward_s=1.0, error=1e-3),
    ]
    found = [(each.task, each.setting) for each in ladders(cells) if each.cost.name == "time"]
    assert [task for task, _ in found] == [SOLVE, SOLVE, GRADIENT, TRAINING]
    assert len({setting for _, setting in found[:2]}) == 2


def test_cells_without_an_error_or_a_cost_are_left_out() -> None:
    cells = [solver("a", forward_s=1.0, error=math.inf), solver("b", forward_s=1.0), solver("c", error=1e-3)]
    assert ladders(cells) == ()


def test_a_step_compares_no_more_configurations_than_a_reader_can_see() -> None:
    cells = [solver(f"s{i}", forward_s=1.0 + i, error=1e-3) for i in range(RIVALS + 5)]
    (step,) = ladder(cells).steps
    assert [rival.measured.cell.solver for rival in step.rivals] == [f"s{i}" for i in range(1, RIVALS + 1)]


def test_the_page_is_given_the_code_and_the_command_of_each_choice() -> None:
    cells = [solver("a", forward_s=4.0, error=1e-9), solver("b", forward_s=1.0, error=1e-3)]
    sweeps = {each.key: "mine" for each in cells}
    found = choices(cells, sweeps, lambda cell: f"solve with {cell.solver}", "run {} {}".format)
    (question,) = found.questions
    assert [found.cells[choice.key].code for choice in question.choices] == ["solve with a", "solve with b"]
    assert found.cells[cells[0].key].command == f"run mine {cells[0].key}"
    assert question.choices[1].rivals[0][0] == cells[0].key
