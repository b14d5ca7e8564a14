"""Gradient modes along an axis: crossovers, trends and their causes, on made-up cells."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from reports.measured import MeasuredCell
from reports.views.findings.comparison import compare
from reports.views.findings.mode_axes import memory_answer, time_answer
from reports.views.findings.modes import CLOCK, mode_pairs, mode_rows
from reports.views.findings.series import Along, along, axes_of
from tests.support.answers import assert_held_by_its_table, shown, verdicts
from tests.support.made import RK4, a_cell, in_block, plain, timings

MIB = 2.0**20
HORIZONS = (0.5, 1.0, 2.0, 20.0)


def a_line(axis: str, places: Sequence[float], backend: str = "node", **numbers: dict[str, Sequence[float]]) -> Along:
    """The modes along the axis: by mode, metrics or `gradient_s` at each place."""
    cells = [
        a_cell(
            replace(RK4, backend=backend, gradient=mode, **{axis: place}),
            **{name: values[at] for name, values in of_mode.items()},
        )
        for at, place in enumerate(places)
        for mode, of_mode in numbers.items()
    ]
    return the_line(cells, axis)


def the_line(cells: list[MeasuredCell], axis: str) -> Along:
    (line,) = along(cells, axis, mode_rows(cells, compare(mode_pairs(cells), CLOCK)))
    return line


def memory(backprop: Sequence[float], adjoint: Sequence[float], calls: Sequence[float] = (1, 2, 4, 40)) -> Along:
    sizes = {"backprop": backprop, "adjoint": adjoint}
    numbers = {mode: {"peak_bytes": [MIB * n for n in values], "nfe_forward": calls} for mode, values in sizes.items()}
    return a_line("horizon", HORIZONS, **numbers)


def test_a_crossover_of_memory_is_told_with_the_place_from_which_it_pays():
    answer = memory_answer(memory(backprop=(4.5, 9.0, 18.0, 180.0), adjoint=(8.7, 8.7, 8.7, 8.7)))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint saves memory from T = 1: 8.70 MiB against backprop's 9.00 MiB."
    assert verdicts(answer) == {"backprop": "compared with", "adjoint": "less from T = 1, fixed"}
    assert shown(answer.table, "T = 1") == {"backprop": "9.00 MiB", "adjoint": "8.70 MiB"}


def test_a_mode_that_never_saves_memory_is_told_with_the_last_place():
    answer = memory_answer(memory(backprop=(1.0, 1.1, 1.3, 3.9), adjoint=(4.3, 4.3, 4.3, 4.3)))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint saves no memory up to T = 20: 4.30 MiB against 3.90 MiB."
    assert verdicts(answer)["adjoint"] == "more, fixed"


def test_memory_that_grows_with_the_calls_is_told_with_their_number():
    answer = memory_answer(memory(backprop=(1.0, 2.0, 4.0, 40.0), adjoint=(0.5, 0.5, 0.5, 0.5)))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint needs 512 KiB throughout, backprop 1.00 MiB to 40.0 MiB; NFE 1 to 40."
    falling = memory_answer(memory((1.0, 2.0, 4.0, 40.0), (0.5, 0.5, 0.5, 0.5), calls=(40, 4, 2, 1)))
    assert "NFE" not in falling.sentence  # it does not explain a memory that rises


def test_memory_that_changes_sides_twice_is_no_crossover():
    answer = memory_answer(memory(backprop=(1.0, 3.0, 1.0, 9.0), adjoint=(2.0, 2.0, 2.0, 2.0)))
    assert answer is None


def test_memory_that_does_not_change_along_the_axis_gives_no_answer():
    assert memory_answer(memory(backprop=(2.0, 2.0, 2.0, 2.0), adjoint=(1.0, 1.0, 1.0, 1.0))) is None


def outputs(adjoint_s: Sequence[float], nfe_backward: Sequence[float], backend: str = "torchdiffeq") -> Along:
    return a_line(
        "n_outputs",
        (2, 11, 101),
        backend,
        backprop={"gradient_s": (1.0, 1.0, 1.0), "nfe_forward": (200, 200, 200), "nfe_backward": (0, 0, 0)},
        adjoint={"gradient_s": adjoint_s, "nfe_forward": (200, 200, 200), "nfe_backward": nfe_backward},
    )


def test_a_trend_of_times_is_told_with_both_ends_its_cause_and_the_count():
    answer = time_answer(outputs((2.75, 3.0, 5.3), (578, 600, 1470)))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == (
        "torchdiffeq's adjoint restarts at each output: 2.8 times backprop's time at 2, 5.3 at 101; "
        "NFE back 578 to 1 470."
    )
    assert verdicts(answer) == {"backprop": "compared with", "adjoint": "slower, rises 1.9×"}
    assert shown(answer.table, "NFE")["adjoint"] == "578 to 1 470"


def test_a_trend_that_the_calls_do_not_explain_is_told_without_a_cause():
    answer = time_answer(outputs((2.75, 3.0, 5.3), (578, 580, 582)))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint takes 2.8 times backprop's time at 2 outputs, 5.3 at 101."


@pytest.mark.parametrize("adjoint_s", [(3.0, 3.0, 3.0), (3.0, 5.0, 3.5)])
def test_times_that_do_not_change_or_not_monotonically_give_no_answer(adjoint_s):
    assert time_answer(outputs(adjoint_s, (578, 600, 1470))) is None


def test_a_crossover_of_times_counts_only_beyond_the_noise_floor_on_both_sides():
    def crossing(off: float) -> Along:
        cells = [
            a_cell(replace(RK4, gradient=mode, horizon=place), gradient_s=seconds)
            for place, pair in {1.0: (1.0, 1.1), 2.0: (2.0, 2.0), 4.0: (4.0, 3.0)}.items()
            for mode, seconds in zip(("backprop", "adjoint"), pair, strict=True)
        ]
        return the_line(in_block(*cells, off=off), "horizon")

    answer = time_answer(crossing(off=1.02))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint is quicker than backprop from T = 4: 3.00 s against 4.00 s."
    assert verdicts(answer)["adjoint"] == "quicker from T = 4, falls 1.5×"
    within = time_answer(crossing(off=1.2))  # 10 % slower is no difference there
    assert verdicts(within)["adjoint"] == "quicker in 1 of 3, falls 1.5×"


def test_too_few_processes_give_neither_a_crossover_nor_a_trend():
    cells = [
        replace(a_cell(replace(RK4, gradient=mode, horizon=place)), samples={CLOCK: timings(seconds, [0])})
        for place, pair in {1.0: (1.0, 2.0), 4.0: (4.0, 2.0)}.items()
        for mode, seconds in zip(("backprop", "adjoint"), pair, strict=True)
    ]
    assert time_answer(the_line(cells, "horizon")) is None


def test_a_numeric_option_is_an_axis_like_any_other():
    def with_option(gradient: str, name: str, value: int) -> MeasuredCell:
        options = json.dumps({name: value}, separators=(",", ":"))
        size = {"backprop": 8.0, "adjoint": 4.0, "checkpointed": 1.0}[gradient] * (
            1 if gradient == "adjoint" else value
        )
        return a_cell(replace(RK4, gradient=gradient, options=options), peak_bytes=MIB * size)

    widths = [with_option(mode, "problem.width", width) for mode in ("backprop", "adjoint") for width in (8, 64)]
    budgets = [a_cell(replace(RK4, gradient="backprop"), peak_bytes=10 * MIB)]
    budgets += [with_option("checkpointed", "gradient.budget", budget) for budget in (2, 20)]
    assert {"problem.width", "gradient.budget"} <= set(axes_of([*widths, *budgets]))
    answer = memory_answer(the_line(widths, "problem.width"))
    assert_held_by_its_table(answer)
    assert plain(answer.sentence) == "adjoint needs 4.00 MiB throughout, backprop 64.0 MiB to 512 MiB."
    crossing = memory_answer(the_line(budgets, "gradient.budget"))
    assert_held_by_its_table(crossing)
    assert plain(crossing.sentence) == (
        "checkpointed needs more memory from budget = 20: 20.0 MiB against backprop's 10.0 MiB."
    )


def test_each_batch_size_has_its_own_line_along_another_axis_and_a_place_along_its_own():
    cells = [
        a_cell(replace(RK4, gradient=mode, batch_size=batch, horizon=horizon), peak_bytes=1.0)
        for mode in ("backprop", "adjoint")
        for batch in (1, 256)
        for horizon in (1.0, 2.0)
    ]
    rows = mode_rows(cells, {})
    assert [each.title for each in along(cells, "horizon", rows)] == ["cosine, batch of 1", "cosine, batch of 256"]
    (by_batch,) = along(cells, "batch_size", rows)
    assert [said for _, said in by_batch.places] == ["batch of 1", "batch of 256"]
