"""The sections of the studies, on any measured cells and on a whole synthetic database."""

import math
from dataclasses import replace

import pytest

from reports.measured import MeasuredCell, TrialView
from reports.views.report import report, study_section
from reports.views.selection import ReportError
from reports.views.studies import SECTIONS, other, solvers
from reports.views.studies.failures import failure_groups
from tests.support import synthetic_cells
from tests.support.answers import assert_held_by_its_table, verdicts
from tests.support.made import RK4, a_cell, plain

WILD = [
    a_cell(replace(RK4, dt=0.5), forward_s=1.0, error=0.0, nfe_forward=8),
    a_cell(replace(RK4, dt=0.25), forward_s=1.0, error=math.inf),
    a_cell(replace(RK4, dt=0.125), forward_s=1.0, error=math.nan),
    a_cell(replace(RK4, dt=0.0625), error=1e-3),
    a_cell(replace(RK4, dt=0.03125), nfe_forward=100),
    a_cell(replace(RK4, gradient="adjoint"), gradient_s=1.0, gradient_error=math.inf, final_loss=math.nan),
    a_cell(replace(RK4, dt=None, rtol=1e-3, atol=1e-5, gradient="backprop"), peak_bytes=0.0, final_loss=math.inf),
    a_cell(replace(RK4, dt=None, rtol=1e-3, atol=1e-5, problem="spiral", iterations=3), train_s=1.0, final_loss=0.1),
    a_cell(replace(RK4, dt=None)),
]


@pytest.mark.parametrize("make", [*SECTIONS.values(), other.section])
@pytest.mark.parametrize("count", range(len(WILD) + 1))
def test_a_section_can_be_made_of_any_measured_cells(make, count):
    section = make("study", WILD[:count])
    points = [point for f in section.figures for p in f.panels for line in p.lines for point in line.points]
    assert all(math.isfinite(value) for point in points for value in point)
    assert bool(section.tables) == (count > 0)


def test_a_study_without_numbers_says_why_it_has_none():
    waiting = [MeasuredCell("a", RK4), MeasuredCell("b", RK4, (TrialView("timeout", "slow", 1.0),))]
    section = study_section("solvers", waiting)
    assert section.tables == section.figures == section.answers == ()
    assert section.notes == ("2 cells without numbers: 1 pending and 1 timeout.",)


def test_a_note_says_that_errors_of_zero_are_missing_from_the_figures():
    assert "1 cell with an error of exactly 0" in plain(solvers.section("solvers", WILD[:1]).notes[0])


def test_an_unknown_study_has_a_section_of_its_own():
    section = study_section("my study", [a_cell(forward_s=1.0)])
    assert (section.title, len(section.tables[0].rows)) == ("my study", 1)


def test_the_report_has_a_section_for_each_study(content):
    sections = content.sections
    assert [section.study for section in sections] == list(synthetic_cells.STUDIES)
    assert {*SECTIONS} >= {*synthetic_cells.STUDIES}
    for section in sections:
        assert section.answers
        assert section.figures
        assert section.tables


def test_the_observed_orders_are_those_of_the_methods(content):
    table = content.sections[0].tables[0]
    for row in table.rows:
        solver, _, order, *_ = row.values
        assert order.sort == pytest.approx(synthetic_cells.ORDERS[solver.text], abs=0.15)


def test_the_adjoint_costs_time_and_saves_memory(content):
    point, *others = content.sections[3].answers
    assert point.sentence.startswith("backprop on node is quickest; adjoint on node takes ")
    assert verdicts(point)["backprop on node"] == "best"
    assert any(each.sentence.startswith("torchdiffeq takes 2.") for each in others)


def test_every_sentence_of_the_report_is_held_by_its_table(content):
    for section in content.sections:
        for answer in section.answers:
            assert_held_by_its_table(answer)


def test_every_cell_has_one_row_that_its_key_links_to(content):
    anchors = [row.anchor for row in content.summary.rows]
    assert sorted(anchors) == sorted({one.cell.key for one in synthetic_cells.plan()})
    links = {v.link for s in content.sections for t in s.tables for row in t.rows for v in row.values if v.link}
    assert links
    assert links <= set(anchors)


def test_the_counts_add_up(content):
    counts = {label: plain(said) for label, said in content.overview.counts}
    parts = [int(counts[label]) for label in ("measured", "failed", "not possible here", "to be measured")]
    assert sum(parts) == int(counts["cells planned"])
    assert counts["to be measured"] == counts["failed"] == "1"


def test_expected_failures_are_listed_after_all_others(content):
    groups = content.failures
    assert [group.failure.expected for group in groups] == sorted(group.failure.expected for group in groups)
    assert groups[0].failure.status == "max_steps"
    unavailable = next(group for group in groups if group.failure.status == "unavailable")
    assert len(unavailable.cells) == sum(one.cell.device == "cuda" for one in synthetic_cells.plan()) - 1


def test_a_cell_that_failed_twice_is_in_both_groups():
    twice = MeasuredCell("a", RK4, (TrialView("timeout", "slow", 1.0), TrialView("crashed", "signal 9", 1.0)))
    assert [group.failure.status for group in failure_groups([twice])] == ["timeout", "crashed"]


def test_a_database_without_runs_has_no_report(store):
    with pytest.raises(ReportError, match="holds no run: run `nodebench run` first"):
        report(store)
