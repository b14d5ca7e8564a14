"""The noise floors of blocks on the page, and the twins behind them."""

from dataclasses import replace

import pytest

from reports.blocks import Block
from reports.measured import MeasuredCell
from reports.views.findings.noise import noise_note, noise_summary, noise_table
from reports.views.parts import columns
from reports.views.report import report, study_section
from reports.views.selection import select
from reports.views.studies.overview import overview
from results.read.where import Where
from results.records import Planned, Sample, Trial
from tests.support import synthetic
from tests.support.made import RK4, a_cell, in_block, plain, timings


def a_block(problem: str, off: float, **metrics: float) -> list[MeasuredCell]:
    cells = [
        a_cell(replace(RK4, problem=problem, solver=solver), forward_s=1.0, **metrics) for solver in ("euler", "rk4")
    ]
    return in_block(*cells, off=off)


def test_the_noise_floors_of_the_page_are_those_of_the_runner(measured):
    """The runner has recorded its floors; the page derives them from the samples of the twins."""
    selection = select(measured)
    written = measured.noise_floors(Where(run_id="run-1"))
    assert len(written) > 10
    for row in written.itertuples():
        (control,) = selection.cells[row.cell_key].block.controls
        twin = control.twins[row.name]
        assert control.key == row.cell_key
        assert (twin.value, twin.low, twin.high, twin.pairs) == pytest.approx((row.ratio, row.low, row.high, row.pairs))


def test_a_twin_is_no_measurement_of_its_cell(store):
    """The twin has the key of its cell and the same indexes of processes and rounds."""
    store.begin(synthetic.run(), [Planned("solvers", RK4)])
    series = {"forward_s": [Sample(index, 0, 1.0) for index in range(3)]}
    slow = {"forward_s": [Sample(index, 1, 5.0) for index in range(3)]}
    for process in range(2):
        timing = Trial(cell_key=RK4.key, kind="timing", process_index=process, metrics={"busy_s": 1.0}, samples=series)
        store.record("run-1", timing)
        store.record("run-1", replace(timing, kind="twin", metrics={"busy_s": 9.0}, samples=slow))
    measured = select(store).cells[RK4.key]
    assert (measured.value("forward_s"), measured.value("busy_s")) == (1.0, 1.0)
    assert len(measured.samples["forward_s"]) == 6
    assert measured.is_control
    assert measured.block.floor("forward_s") == pytest.approx(5.0)
    assert measured.block.floor("gradient_s") == pytest.approx(5.0)  # of the only clock that the twin has


def test_a_twin_that_fails_does_not_make_its_cell_fail(store):
    store.begin(synthetic.run(), [Planned("solvers", RK4)])
    store.record("run-1", Trial(cell_key=RK4.key, kind="timing", samples={"forward_s": [Sample(0, 0, 1.0)]}))
    store.record("run-1", Trial(cell_key=RK4.key, kind="twin", status="crashed", reason="signal 9"))
    measured = select(store).cells[RK4.key]
    assert measured.status == "ok"
    assert [(failure.status, failure.reason) for failure in measured.failures] == [
        ("crashed", "as its own twin: signal 9")
    ]


def test_every_timed_cell_has_a_ratio_to_its_control(measured):
    for each in select(measured).cells.values():
        expected = set() if each.is_control else set(each.samples)
        assert set(each.ratios) == expected


def test_a_gradient_is_compared_with_a_forward_solve_if_the_control_has_no_gradient():
    control = replace(a_cell(), samples={"forward_s": timings(1.0, range(3))})
    assert control.samples.keys() == {"forward_s"}
    (own,) = in_block(control)
    (beside,) = own.block.controls
    assert beside.denominator("gradient_s") is control.samples["forward_s"]


def test_the_floor_of_a_block_is_shown_with_its_control():
    cells = a_block("cosine", 1.02, unstable=0.0)
    assert plain(noise_note(cells)) == "Noise floor: 2.0 %. No smaller difference of times is called one."
    (row,) = noise_table(cells).rows
    assert [plain(value.text) for value in row.values] == ["cosine", "2.0 %", "2", "0", "euler on node, dt = 0.1"]
    assert plain(row.values[1].note) == "[1.02, 1.02]"
    assert row.values[4].link == cells[0].key


def test_the_median_and_the_worst_floor_of_several_blocks_are_shown():
    cells = [each for problem, off in {"a": 1.02, "b": 1.3, "c": 1 / 1.04}.items() for each in a_block(problem, off)]
    said = plain(noise_summary(cells))
    assert said == "Two timings of the same cell differed by up to 4.0 % (median of 3 blocks), at worst 30 % (b)."
    assert "2.0 % to 30 % over 3 blocks" in plain(noise_note(cells))


def test_blocks_without_a_twin_are_shown_to_have_an_unknown_floor():
    old = [a_cell(forward_s=1.0)]
    assert noise_table(old) is None
    assert noise_summary(old) == noise_note(old) != ""
    mixed = [*a_block("a", 1.02), *old]
    assert "not known in 1 block" in plain(noise_note(mixed))
    assert plain(noise_note(mixed)).startswith("Noise floor: 2.0 %.")
    assert noise_note([]) == noise_summary([a_cell(error=1.0)]) == ""


def test_a_twin_of_one_process_has_an_infinite_floor():
    (control,) = in_block(replace(a_cell(), samples={"forward_s": timings(1.0, [0])}))
    assert control.block.has_floor
    assert control.block.floor("forward_s") == float("inf")
    assert "not known" in noise_note([control])


def test_a_control_that_replaced_a_failed_one_gives_the_noise_floor():
    failed = in_block(replace(a_cell(), samples={"forward_s": timings(1.0, [0])}))[0]
    second = in_block(
        replace(a_cell(replace(RK4, solver="heun")), samples={"forward_s": timings(1.0, [1, 2])}), off=1.1
    )
    block = Block((*failed.block.controls, *second[0].block.controls))
    assert block.floor("forward_s") == pytest.approx(1.1)
    cells = [replace(each, block=block) for each in (failed, *second)]
    assert [row.values[0].text for row in noise_table(cells).rows] == ["cosine", "cosine"]
    assert plain(noise_note(cells)).startswith("Noise floor: 10 %.")


def test_a_time_that_is_less_precise_than_asked_is_marked():
    sure, unsure = a_block("cosine", 1.02, unstable=0.0)[1], a_block("cosine", 1.02, unstable=1.0)[1]
    assert not columns.time(sure, "forward_s").unsettled
    assert columns.time(unsure, "forward_s").unsettled
    assert not columns.time(unsure, "gradient_s").unsettled  # there is no such time to mark
    assert plain(noise_table([unsure]).rows[0].values[3].text) == "1"
    assert study_section("solvers", [unsure]).tables[0].unsettled


@pytest.mark.exhaustive
def test_a_time_is_shown_with_the_interval_of_its_ratio(measured):
    cells = select(measured).cells.values()
    timed = [each for each in cells if "forward_s" in each.ratios]
    assert timed
    for each in timed:
        ratio = each.ratios["forward_s"]
        assert columns.time(each, "forward_s").note.startswith("±")
        assert columns.over_control(each, "forward_s").sort == ratio.value
    control = next(each for each in cells if each.is_control)
    assert columns.time(control, "forward_s").note == ""
    assert columns.over_control(control, "forward_s").text == "control"


def test_the_overview_shows_the_worst_block(content, measured):
    assert "median of" in plain(content.overview.noise)
    assert "at worst" in content.overview.noise
    assert len(content.overview.blocks.rows) == len(
        {each.cell.block for each in select(measured).cells.values() if each.samples}
    )


def test_a_database_without_twins_has_its_page(store):
    """Its differences are judged by their intervals alone."""
    from reports.page import render

    cells = [replace(RK4, solver=solver) for solver in ("euler", "rk4")]
    store.begin(synthetic.run(), [Planned("solvers", cell) for cell in cells])
    for cell in cells:
        for trial in synthetic.trials(cell):
            store.record("run-1", replace(trial, metrics={**trial.metrics, "error": 1e-9}))
    made = report(store)
    assert made.overview.blocks is None
    assert "not known" in made.overview.noise
    assert made.sections[0].answers[0].sentence.startswith("euler takes ")
    assert "noise floor is not known" in render(made)
    assert overview(select(store)).blocks is None
