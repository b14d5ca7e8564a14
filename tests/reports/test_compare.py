"""Comparisons of two sides: what regressed, what improved, and what cannot be told."""

import math
from dataclasses import replace

import pytest

from reports.compare import Compared, Row, Verdict, change, compare
from results.read.where import Where
from results.tools import baselines, sides
from tests.support.two_sides import CONTROL, HERE, MINE, PEER, THERE, Measured, record

USUAL = {CONTROL: Measured(1.0), MINE: Measured(4.0), PEER: Measured(6.0)}


def compared(store, a: str = "run:a", b: str = "run:b", cells: Where | None = None) -> Compared:
    return compare(sides.named(store, a), sides.named(store, b), cells)


def row(found: Compared, cell=MINE, name: str = "forward_s") -> Row:
    (one,) = (each for each in found.rows if each.cell == cell and each.name == name)
    return one


def test_a_cell_of_other_code_is_compared_through_a_control_whose_code_is_unchanged(store):
    """The machine is three times slower in the second run: medians of seconds would call everything a regression."""
    record(store, "a", USUAL)
    record(store, "b", {**USUAL, MINE: Measured(4.4, code="2")}, load=3.0)
    found = compared(store)
    mine = row(found)
    assert mine.verdict is Verdict.REGRESSED
    assert mine.ratio.low < 1.1 < mine.ratio.high < 1.12
    assert mine.after / mine.before > 3
    assert row(found, PEER).verdict is Verdict.WITHIN_NOISE
    back = row(compared(store, "run:b", "run:a"))
    assert back.verdict is Verdict.IMPROVED
    assert back.ratio.value == pytest.approx(1 / mine.ratio.value, rel=1e-3)


def test_without_an_unchanged_control_any_other_unchanged_cell_is_the_link(store):
    record(store, "a", USUAL)
    changed = {CONTROL: Measured(1.2, code="2"), MINE: Measured(3.0, code="2"), PEER: Measured(6.0)}
    record(store, "b", changed, load=0.5)
    found = compared(store)
    assert row(found, CONTROL).verdict is Verdict.REGRESSED
    assert row(found, CONTROL).ratio.value == pytest.approx(1.2, rel=0.02)
    assert row(found).verdict is Verdict.IMPROVED
    assert row(found).ratio.value == pytest.approx(0.75, rel=0.02)


def test_a_cell_is_no_link_to_itself(store):
    """Through itself its ratio would be 1, with an interval of no width, whatever had become of it."""
    for run_id in ("a", "b"):
        record(store, run_id, {CONTROL: Measured(1.0)})
    assert "no cell of unchanged code timed beside both" in row(compared(store), CONTROL).reason
    assert row(compared(store), CONTROL).verdict is Verdict.UNKNOWN


def test_times_without_an_unchanged_cell_beside_both_are_not_comparable(store):
    record(store, "a", USUAL)
    record(store, "b", {cell: replace(each, code="2") for cell, each in USUAL.items()})
    for cell in USUAL:
        unknown = row(compared(store), cell)
        assert (unknown.verdict, unknown.ratio) == (Verdict.UNKNOWN, None)
        assert "no cell of unchanged code timed beside both" in unknown.reason


def test_a_single_process_bounds_no_ratio(store):
    record(store, "a", USUAL, processes=1)
    record(store, "b", {**USUAL, MINE: Measured(9.0, code="2")}, processes=1)
    assert row(compared(store)).verdict is Verdict.UNKNOWN
    assert row(compared(store)).reason == "timed in one process, which bounds no ratio"


def test_what_is_taken_once_a_process_is_said_to_be_not_comparable(store):
    record(store, "a", USUAL)
    record(store, "b", USUAL)
    first = row(compared(store), name="first_call_s")
    assert first.verdict is Verdict.UNKNOWN
    assert first.reason.startswith("taken once a process and not in rounds")


@pytest.mark.parametrize(
    ("name", "before", "after", "verdict"),
    [
        ("nfe_forward", 100.0, 100.0, Verdict.WITHIN_NOISE),
        ("nfe_forward", 100.0, 101.0, Verdict.REGRESSED),
        ("error", 1.00000000001e-5, 1e-5, Verdict.IMPROVED),
        ("error", 1e-5, math.nan, Verdict.REGRESSED),
        ("error", math.nan, 1e-5, Verdict.IMPROVED),
        ("error", math.nan, math.nan, Verdict.WITHIN_NOISE),
        ("error", math.inf, 1e300, Verdict.IMPROVED),
        ("initial_loss", 1.0, 0.5, Verdict.UNKNOWN),
    ],
)
def test_an_exact_number_is_compared_by_equality_and_not_a_number_is_the_worst(store, name, before, after, verdict):
    for run_id, value in (("a", before), ("b", after)):
        record(store, run_id, {MINE: Measured(metrics={name: value})})
    assert row(compared(store), name=name).verdict is verdict


def test_different_exact_numbers_are_never_shown_alike(store):
    record(store, "a", {MINE: Measured(metrics={"error": 1.00001e-5})})
    record(store, "b", {MINE: Measured(metrics={"error": 1.00002e-5})})
    assert change(row(compared(store), name="error")) == "1.00001e-05 → 1.00002e-05"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("ok", "timeout", Verdict.REGRESSED),
        ("max_steps", "ok", Verdict.IMPROVED),
        ("ok", "unavailable", Verdict.UNKNOWN),
        ("timeout", "crashed", Verdict.UNKNOWN),
        ("timeout", "timeout", Verdict.WITHIN_NOISE),
    ],
)
def test_another_status_is_a_regression_or_an_improvement(store, before, after, verdict):
    for run_id, status in (("a", before), ("b", after)):
        record(store, run_id, {MINE: Measured(status=status, reason="" if status == "ok" else "so it ended")})
    (found,) = compared(store).rows
    assert (found.verdict, found.statuses, found.detail) == (verdict, (before, after), "so it ended")


def test_cells_of_one_side_are_new_or_gone_and_planned_ones_are_neither(store):
    record(store, "a", {MINE: Measured(metrics={"error": 1.0})}, planned=[CONTROL, replace(CONTROL, dt=0.5)])
    record(store, "b", {PEER: Measured(metrics={"error": 1.0}), CONTROL: Measured(metrics={"error": 1.0})})
    found = compared(store)
    assert [each.cell for each in found.of(Verdict.NEW)] == [PEER]
    assert [each.cell for each in found.of(Verdict.GONE)] == [MINE]
    (unknown,) = found.of(Verdict.UNKNOWN)
    assert (unknown.cell, unknown.reason) == (CONTROL, "not measured on one side")
    assert found.notices == ("Left out: 1 cell planned and measured on neither side.",)
    assert found.counts[Verdict.UNKNOWN] == (1, 1)


def test_environments_that_differ_are_said_first_and_their_times_are_not_compared(store):
    exact = {MINE: Measured(4.0, metrics={"nfe_forward": 100.0}), CONTROL: Measured(1.0)}
    record(store, "a", exact)
    record(store, "b", {**exact, MINE: Measured(9.0, metrics={"nfe_forward": 90.0})}, environment=THERE)
    found = compared(store)
    assert found.notices[0].startswith(f"The environments differ ({HERE.fingerprint} and {THERE.fingerprint})")
    assert found.environments == {"cpu": ("one", "another")}
    assert row(found, name="nfe_forward").verdict is Verdict.IMPROVED
    assert (row(found).verdict, row(found).reason) == (Verdict.UNKNOWN, "measured in another environment")


def test_the_same_trials_on_both_sides_are_no_comparison(store):
    record(store, "a", USUAL)
    baselines.keep(store, "kept")
    found = compared(store, "kept", "run:a")
    assert {each.verdict for each in found.rows} == {Verdict.WITHIN_NOISE}
    assert {each.reason for each in found.rows} == {"the same trials"}


def test_differences_by_chance_among_many_cells_are_not_called(store):
    """Forty equal cells and their control."""
    many = {replace(MINE, horizon=1.0, dt=0.1 + index / 100): Measured(4.0) for index in range(40)}
    record(store, "a", {CONTROL: Measured(1.0), **many})
    record(store, "b", {CONTROL: Measured(1.0), **many})
    found = compared(store)
    assert not found.of(Verdict.REGRESSED)
    assert not found.of(Verdict.IMPROVED)
    assert len([each for each in found.of(Verdict.WITHIN_NOISE) if each.ratio]) == 41


def test_only_the_cells_that_meet_the_condition_are_compared_and_by_the_same_controls(store):
    for run_id in ("a", "b"):
        record(store, run_id, USUAL)
    found = compared(store, cells=Where(solver="rk4", backend="node"))
    assert {each.cell for each in found.rows} == {MINE}
    assert row(found) == row(compared(store))
    assert row(found).floor > 1
