"""Gradient modes: pairs with backprop, the answer at one point, and the exactness at equal tolerance and work."""

import math
from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.configuration import Configuration
from reports.views.findings.exactness import Exactness, exactness_answer
from reports.views.findings.mode_answers import mode_point_answer, mode_points
from reports.views.findings.modes import CLOCK, ModeRow, mode_pairs, mode_rows
from reports.views.findings.series import Series, along
from reports.views.parts.answer import Answer
from results.statistics.equal_work import error_ratio
from results.statistics.ratio import Ratio
from tests.support.answers import assert_held_by_its_table, shown, verdicts
from tests.support.made import RK4, a_cell, in_block, plain


def modes(**gradient_s: float) -> list[MeasuredCell]:
    return [a_cell(replace(RK4, gradient=mode), gradient_s=s, peak_bytes=1024 / s) for mode, s in gradient_s.items()]


def rows_of(cells: list[MeasuredCell]) -> list[ModeRow]:
    return mode_rows(cells, compare(mode_pairs(cells), CLOCK))


def answered(cells: list[MeasuredCell]) -> Answer:
    (point,) = mode_points(cells)
    answer = mode_point_answer(point, compare(point.pairs, CLOCK))
    assert_held_by_its_table(answer)
    return answer


def test_every_mode_is_compared_with_backprop():
    rows = rows_of(modes(reversible=3.0, backprop=1.0, checkpointed=2.0))
    ratios = {row.mode: row.time.ratio.value for row in rows}
    assert ratios == pytest.approx({"reversible": 3.0, "checkpointed": 2.0})


def test_without_backprop_the_modes_are_compared_with_another_mode():
    (row,) = rows_of(modes(reversible=3.0, checkpointed=2.0))
    assert (row.mode, row.compared_with.cell.gradient) == ("reversible", "checkpointed")


def test_a_mode_without_equal_cells_of_another_mode_is_not_compared():
    cells = [a_cell(replace(RK4, gradient="adjoint", dt=0.5), gradient_s=1.0), *modes(backprop=1.0)]
    assert rows_of(cells) == []
    assert mode_points(cells) == []


def test_the_quickest_mode_and_the_one_with_the_least_memory_are_named_with_both_numbers():
    answer = answered(modes(reversible=4.0, backprop=1.0, checkpointed=2.0))
    assert (
        plain(answer.sentence) == "backprop is quickest; reversible takes 4.0 times as long for 256 B against 1.00 KiB."
    )
    assert verdicts(answer) == {"backprop": "best", "checkpointed": "2.0× slower", "reversible": "4.0× slower"}
    assert shown(answer.table, "memory")["reversible"] == "256 B"


def test_all_modes_that_tie_are_named():
    answer = answered(in_block(*modes(backprop=1.0, adjoint=1.02, forward=1.03, reversible=3.0), off=1.05))
    assert plain(answer.sentence).startswith(
        "backprop, adjoint and forward tie at 1.00 s; reversible takes 3.0 times as"
    )
    assert verdicts(answer)["forward"] == verdicts(answer)["adjoint"] == "no difference"


def test_a_gradient_that_is_wrong_is_not_the_best_however_quick():
    cells = [
        a_cell(replace(RK4, gradient=mode), gradient_s=seconds, gradient_error=error)
        for mode, seconds, error in (("backprop", 2.0, 1e-6), ("adjoint", 1.0, 1.0))
    ]
    answer = answered(cells)
    assert verdicts(answer) == {"backprop": "best", "adjoint": "wrong by 100 %"}
    assert answer.sentence.startswith("backprop takes 2.00")
    every = [replace(each, metrics={"gradient_error": 1.0}) for each in cells]
    assert plain(answered(every).sentence) == "Every gradient is wrong, by 100 % or more."


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_quotient_needs_two_positive_numbers(value):
    own, base = (a_cell(replace(RK4, gradient=mode), peak_bytes=1.0) for mode in ("adjoint", "backprop"))
    (row,) = rows_of([replace(own, metrics={"peak_bytes": value}), base])
    assert math.isnan(row.quotient("peak_bytes"))


def exactness(**orders: tuple[float, float, float]) -> Answer:
    """The answer on modes whose error is `constant` dt^4 at `scale` times the seconds 1 / dt."""
    cells = [
        a_cell(replace(RK4, gradient=mode, dt=dt), gradient_s=scale / dt, gradient_error=constant * dt**order)
        for mode, (constant, scale, order) in orders.items()
        for dt in (0.1, 0.05, 0.025)
    ]
    (line,) = along(cells, "step", rows_of(cells))
    answer = exactness_answer(line)
    assert answer is not None
    assert_held_by_its_table(answer)
    return answer


def test_exactness_is_compared_at_equal_tolerance_and_in_equal_time():
    """Half the error at equal tolerance, in twice the time: at equal time 2^4 / 2 times the error."""
    answer = exactness(backprop=(1.0, 1.0, 4.0), adjoint=(0.5, 2.0, 4.0))
    assert plain(answer.sentence) == (
        "At equal tolerance adjoint errs 0.50 times as much as backprop, in equal time 8.0 times."
    )
    assert verdicts(answer) == {"adjoint": "more exact, in equal time less exact"}
    assert shown(answer.table, "error ratio at equal time") == {"adjoint": "8.00×"}


def test_where_no_mode_is_more_exact_the_sentence_tells_by_how_much_the_nearest_errs_more():
    answer = exactness(backprop=(1.0, 1.0, 4.0), checkpointed=(1.0, 1.5, 4.0))
    assert plain(answer.sentence) == (
        "No mode errs less than backprop at equal tolerance; in equal time checkpointed errs 5.1 times as much."
    )
    far = exactness(backprop=(1.0, 1.0, 4.0), checkpointed=(1.0, 100.0, 4.0))
    assert (
        plain(far.sentence)
        == "No mode errs less than backprop at equal tolerance: checkpointed errs 1.0 times as much."
    )


def test_seeds_and_optimisers_do_not_multiply_what_a_gradient_costs():
    cells = [
        replace(each, cell=replace(each.cell, seed=seed, optimiser=optimiser))
        for each in modes(backprop=1.0, adjoint=2.0)
        for seed in (0, 1)
        for optimiser in ("", "Adam")
    ]
    (point,) = mode_points(cells)
    assert [(each.cell.gradient, each.cell.seed) for each in point.cells] == [("backprop", 0), ("adjoint", 0)]


def test_a_mode_that_takes_no_time_in_common_is_not_compared_in_equal_time():
    answer = exactness(backprop=(1.0, 1.0, 4.0), adjoint=(0.5, 100.0, 4.0))
    assert plain(answer.sentence) == "At equal tolerance adjoint errs 0.50 times as much as backprop."
    assert verdicts(answer) == {"adjoint": "more exact"}


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ([(1, 1e-2), (100, 1e-6)], [(1, 1e-1), (100, 1e-5)], 0.1),
        ([(1, 1e-2), (4, 1e-4)], [(8, 1.0), (9, 0.1)], math.nan),  # no work in common
        ([(1, 1e-2)], [(1, 1e-2), (2, 1e-3)], math.nan),
        ([(1, 1e-2), (4, 0.0), (16, 1e-4)], [(1, 1e-1), (16, 1e-3)], 0.1),  # an exact zero has no logarithm
        ([], [], math.nan),
    ],
)
def test_errors_at_equal_work_are_interpolated_and_never_extrapolated(one, other, ratio):
    assert error_ratio(one, other) == pytest.approx(ratio, nan_ok=True)


def test_errors_in_equal_time_are_not_read_off_times_in_two_units():
    """One cell has no ratio to the control: all four times are then in seconds, and not three in control times."""

    def timed(mode: str, rtol: float, seconds: float, error: float, over_control: float | None) -> MeasuredCell:
        cell = a_cell(
            replace(RK4, gradient=mode, dt=None, rtol=rtol, atol=rtol), gradient_s=seconds, gradient_error=error
        )
        control = in_block(a_cell(replace(RK4, solver="euler"), gradient_s=1.0), cell)[1]
        ratio = Ratio(over_control, over_control, over_control, pairs=10) if over_control else None
        return replace(control, ratios={"gradient_s": ratio} if ratio else {})

    backprop = [timed("backprop", 1e-3, 1.0, 1e-2, 100.0), timed("backprop", 1e-5, 4.0, 1e-4, 400.0)]
    adjoint = [timed("adjoint", 1e-3, 1.0, 2e-2, 100.0), timed("adjoint", 1e-5, 4.0, 2e-4, None)]
    rows = tuple(ModeRow(one, other, None) for one, other in zip(adjoint, backprop, strict=True))
    series = Series(Configuration.of(adjoint[0]), ((1e-3, "loose"), (1e-5, "tight")), rows)
    assert Exactness("adjoint", series).at_work == pytest.approx(2.0)
