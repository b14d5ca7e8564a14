"""Pending trials: not yet measured, measured of other code, or measured with less than the sweep asks for now."""

from dataclasses import replace

import pytest

from bench.measures.kinds import kinds
from bench.plan.due import Recorded, any_failed, any_unstable, pending, set_aside
from bench.source import source_of
from bench.sweep.measure import Measure, asked
from results.read.standing import Standing, StandingTrial
from results.records import Cell

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)
MEASURE = Measure(processes=3, max_processes=6, rounds=8, memory_gib=1.0)
ASKED = asked(MEASURE)


def a_trial(kind: str, status: str = "ok", index: int = 0, cell: Cell = CELL, **changes) -> StandingTrial:
    source = source_of(cell, kind).key
    return StandingTrial(cell.key, kind, index, status, source, "run", "run")._replace(**changes)


def timings(count: int = 3, **last) -> list[StandingTrial]:
    """The timing trials of a cell, one a process; the last trial says how the timing has ended."""
    every = [a_trial("timing", index=index) for index in range(count)]
    return [*every[:-1], every[-1]._replace(**({"unstable": 0.0} | last))]


OTHERS = [a_trial(kind) for kind in ("counts", "accuracy", "memory")]
EVERYTHING = [*OTHERS, *timings()]


def recorded(*trials: StandingTrial, then=ASKED) -> Recorded:
    return Recorded.of(Standing(trials, {"run": then}))


def pending_kinds(found: Recorded, **changes) -> list[str]:
    """The kinds that are pending when the sweep asks for ASKED with these changes."""
    return [one.kind for one in pending([CELL], found, {**ASKED, **changes})]


def test_recorded_trials_are_not_pending():
    assert pending_kinds(recorded()) == kinds(CELL)
    assert pending_kinds(recorded(a_trial("counts"), a_trial("accuracy"))) == kinds(CELL)[2:]
    assert pending_kinds(recorded(*EVERYTHING)) == []


def test_timing_is_pending_until_it_has_ended():
    assert pending_kinds(recorded(*OTHERS, *timings(unstable=None))) == ["timing"]
    assert pending_kinds(recorded(*OTHERS, a_trial("twin", "crashed"))) == ["timing"], (
        "a twin is no timing of the cell itself"
    )


@pytest.mark.parametrize("kind", ["counts", "accuracy", "memory", "timing"])
def test_only_the_kinds_measured_of_other_code_are_pending(kind):
    now = [one for one in EVERYTHING if one.kind != kind]
    found = Recorded.of(Standing(now, {"run": ASKED}, outdated={CELL.key}))
    assert pending_kinds(found) == [kind]
    assert found.outdated == {CELL.key}


@pytest.mark.parametrize("status", ["crashed", "diverged", "max_steps", "timeout", "out_of_memory"])
def test_a_failure_is_a_result_and_not_repeated(status):
    assert pending_kinds(recorded(*OTHERS, a_trial("timing", status))) == []
    assert pending_kinds(recorded(a_trial("counts", status))) == []


@pytest.mark.parametrize(
    ("status", "name"), [("timeout", "timeout_s"), ("out_of_memory", "memory_bytes")], ids=["time", "memory"]
)
def test_a_timeout_or_a_lack_of_memory_is_repeated_when_more_is_granted(status, name):
    assert pending_kinds(recorded(*OTHERS, a_trial("timing", status)), **{name: 2 * ASKED[name]}) == ["timing"]
    assert pending_kinds(recorded(*OTHERS, a_trial("timing", status)), **{name: ASKED[name] / 2}) == []
    assert pending_kinds(recorded(a_trial("counts", status)), **{name: 2 * ASKED[name]}) == kinds(CELL)


@pytest.mark.parametrize(("name", "more"), [("precision", 0.01), ("processes", 4), ("rounds", 9), ("sampling_s", 2.0)])
def test_asking_for_more_makes_a_stable_timing_pending_and_asking_for_less_does_not(name, more):
    assert pending_kinds(recorded(*EVERYTHING), **{name: more}) == ["timing"]
    assert pending_kinds(recorded(*EVERYTHING, then={**ASKED, name: more})) == []


def test_budgets_that_a_stable_timing_did_not_need_do_not_matter():
    assert pending_kinds(recorded(*EVERYTHING), max_processes=100, max_s=1e4, cut_ratio=1e3) == []


@pytest.mark.parametrize(("name", "more"), [("max_processes", 7), ("max_s", 1e4), ("rounds", 9)])
def test_an_unstable_timing_is_pending_when_its_budget_grows(name, more):
    unstable_timing = recorded(*OTHERS, *timings(6, unstable=1.0))
    assert pending_kinds(unstable_timing) == pending_kinds(unstable_timing, precision=0.01) == []
    assert pending_kinds(unstable_timing, **{name: more}) == ["timing"]


def test_a_cell_that_was_cut_is_pending_when_it_would_not_be_cut_now():
    cut = recorded(*OTHERS, *timings(1, unstable=1.0, cut_ratio=50.0))
    assert pending_kinds(cut) == pending_kinds(cut, max_s=1e4) == []
    assert pending_kinds(cut, cut_ratio=60.0) == ["timing"]


def test_a_later_run_with_looser_settings_does_not_make_a_stable_timing_pending():
    loose = {**ASKED, "precision": 0.5, "rounds": 4}
    later = a_trial("timing", index=3, run_id="later", unstable=0.0)
    found = Recorded.of(Standing([*EVERYTHING, later], {"run": ASKED, "later": loose}))
    assert pending_kinds(found) == []
    alone = Recorded.of(Standing([*OTHERS, later], {"later": loose}))
    assert pending_kinds(alone) == ["timing"]


def test_further_samples_join_the_series_unless_something_in_it_has_failed():
    assert recorded(*EVERYTHING).series(CELL, "timing") == "run"
    assert recorded(*timings(), a_trial("timing", "timeout", 3)).series(CELL, "timing") == ""


def test_trials_that_are_set_aside_are_pending_again():
    other = replace(CELL, solver="bosh3")
    found = Recorded.of(Standing([*EVERYTHING, *[a_trial(k, cell=other) for k in kinds(other)]], {}))
    again = set_aside([CELL, other], found, lambda cell, kind, _: cell == CELL and kind != "memory")
    assert [one for one in kinds(CELL) if again.of_kind(CELL, one)] == ["memory"]
    assert all(again.of_kind(other, kind) for kind in kinds(other))


def test_failed_and_unstable_choose_the_failed_and_the_unstable_trials():
    found = recorded(a_trial("counts"), a_trial("accuracy", "crashed"), a_trial("memory"), *timings(unstable=1.0))
    assert pending_kinds(set_aside([CELL], found, any_failed)) == ["accuracy"]
    assert pending_kinds(set_aside([CELL], found, any_unstable)) == ["timing"]
    impossible = recorded(a_trial("counts", "unavailable"))
    assert pending_kinds(set_aside([CELL], impossible, any_failed)) == []


def test_new_processes_are_numbered_after_all_earlier_ones():
    assert recorded().next_process == 0
    assert Recorded.of(Standing([], {}, last_process=6)).next_process == 7
