"""A row of the summary: the values of a cell that counted after a run, in one row despite interruptions."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pandas.testing import assert_frame_equal

from results.records import Environment, Planned, Source, Trial
from results.schema import summary
from results.store import Store
from results.tools.check import findings
from results.tools.merge import merge
from results.tools.prune import prune
from tests.support import synthetic, synthetic_cells

CELL = next(cell for cell in synthetic_cells.spiral_cells() if not synthetic._missing(cell))
KINDS = ("counts", "accuracy", "timing", "memory", "training")
BY_KIND = {"counts": "nfe_forward", "accuracy": "error", "timing": "forward_s", "memory": "peak_bytes"}


def code(kind: str, library: str) -> Source:
    return Source({"library": library, "adapter": "node 1", "problem": "spiral 1", "measure": f"{kind} 1"})


@pytest.fixture
def store(url) -> Iterator[Store]:
    with Store.open(url, create=True) as opened:
        yield opened
        assert list(findings(opened)) == []


def complete_run(
    store: Store, run_id: str, *kinds: str, library: str = "1", series: str = "", processes=range(2)
) -> None:
    """Record a complete run that measures these kinds of the cell with this version of the library."""
    begin(store, run_id)
    for trial in synthetic.trials(CELL, processes):
        if trial.kind in kinds:
            source = code(trial.kind, library).key if library else None
            store.record(run_id, replace(trial, source=source, series=series, started_at=float(run_id[-1])))
    store.finish(run_id, state="complete")


def begin(store: Store, run_id: str) -> None:
    known = [code(kind, library) for kind in KINDS for library in "12"]
    store.begin(synthetic.run(run_id, started_at=float(run_id[-1])), [Planned("spiral", CELL)], known)


def rows(store: Store) -> dict[str, set[str]]:
    """By run, the kinds that have a value in the row."""
    found = store.summary().to_dict("records")
    return {row["run_id"]: {kind for kind, name in BY_KIND.items() if not math.isnan(row[name])} for row in found}


def test_an_interrupted_cell_has_one_complete_row(store):
    complete_run(store, "run-1", "counts", "accuracy")
    interrupted = Trial(cell_key=CELL.key, kind="timing", status="interrupted", source=code("timing", "1").key)
    begin(store, "run-2")
    store.record("run-2", interrupted)
    complete_run(store, "run-3", "timing")
    assert rows(store) == {"run-3": {"counts", "accuracy", "timing"}}
    complete_run(store, "run-4", "memory", "training")
    assert rows(store) == {"run-4": set(BY_KIND)}
    (row,) = store.summary().to_dict("records")
    assert (row["trials"], row["measured_at"], row["status"]) == (len(list(synthetic.trials(CELL))), 4.0, "ok")


def test_further_samples_of_a_series_are_in_its_row(store):
    complete_run(store, "run-1", *KINDS)
    complete_run(store, "run-2", "timing", series="run-1", processes=range(2, 4))
    (row,) = store.summary().to_dict("records")
    assert (row["run_id"], row["trials"]) == ("run-2", len(list(synthetic.trials(CELL))) + 2)


def test_a_kind_that_is_measured_again_begins_a_row_that_repeats_the_other_kinds(store):
    complete_run(store, "run-1", *KINDS)
    complete_run(store, "run-2", "timing")
    assert rows(store) == {"run-1": set(BY_KIND), "run-2": set(BY_KIND)}


def test_a_row_has_no_value_that_was_measured_of_other_code(store):
    complete_run(store, "run-1", *KINDS)
    complete_run(store, "run-2", "timing", library="2")
    complete_run(store, "run-3", "memory", library="2")
    assert rows(store) == {"run-1": set(BY_KIND), "run-3": {"timing", "memory"}}


def test_without_a_recorded_source_the_commit_decides(store):
    complete_run(store, "run-1", "counts", "accuracy", library="")
    complete_run(store, "run-2", "timing", library="")
    assert rows(store) == {"run-2": {"counts", "accuracy", "timing"}}
    other = replace(synthetic.run("run-3", started_at=3.0), git_revision="f" * 40)
    store.begin(other, [Planned("spiral", CELL)])
    store.record("run-3", next(trial for trial in synthetic.trials(CELL) if trial.kind == "memory"))
    assert rows(store) == {"run-2": {"counts", "accuracy", "timing"}, "run-3": {"memory"}}


def test_a_failure_that_was_measured_again_stays_in_its_own_row(store):
    complete_run(store, "run-1", "counts", "timing")
    begin(store, "run-2")
    source = code("memory", "1").key
    store.record("run-2", Trial(cell_key=CELL.key, kind="memory", status="crashed", reason="it is gone", source=source))
    complete_run(store, "run-3", "memory")
    assert rows(store) == {"run-2": {"counts", "timing"}, "run-3": {"counts", "timing", "memory"}}
    assert list(store.summary()["status"]) == ["crashed", "ok"]


def test_a_run_that_continues_a_row_and_then_measures_again_leaves_the_earlier_row(store):
    complete_run(store, "run-1", "timing")
    complete_run(store, "run-2", "counts")
    assert rows(store) == {"run-2": {"counts", "timing"}}
    for trial in synthetic.trials(CELL, [9]):
        if trial.kind == "timing":
            store.record("run-2", replace(trial, source=code("timing", "1").key))
    assert rows(store) == {"run-1": {"timing"}, "run-2": {"counts", "timing"}}


def test_a_late_trial_of_an_earlier_run_changes_the_rows_after_it(store):
    """For example a trial that was spooled and is taken in after the next run."""
    begin(store, "run-1")
    complete_run(store, "run-2", "timing")
    for trial in synthetic.trials(CELL):
        if trial.kind == "counts":
            store.record("run-1", replace(trial, source=code("counts", "1").key))
    assert rows(store) == {"run-2": {"counts", "timing"}}


def test_a_run_that_a_merge_replaces_has_the_summary_of_the_newer_run(store, tmp_path):
    complete_run(store, "run-1", "timing", library="")
    complete_run(store, "run-2", "counts", library="")
    with Store.open(tmp_path / "other.db", create=True) as other:
        other.begin(replace(synthetic.run("run-2", started_at=3.0), git_dirty=False), [Planned("spiral", CELL)])
        merge(store, other, on_conflict="newer")
    assert rows(store) == {"run-1": {"timing"}, "run-2": {"counts"}}
    assert list(store.runs()["sequence"]) == [1, 2]
    assert not store.runs()["merged"].any()


def test_a_run_that_a_merge_replaces_leaves_the_rows_of_its_earlier_environment(store, tmp_path):
    complete_run(store, "run-1", "timing")
    complete_run(store, "run-2", "counts")
    elsewhere = replace(synthetic.run("run-2", started_at=3.0), environment=Environment({"cpu": "another"}))
    with Store.open(tmp_path / "other.db", create=True) as other:
        other.begin(elsewhere, [Planned("spiral", CELL)], [code(kind, "1") for kind in KINDS])
        merge(store, other, on_conflict="newer")
    found = store.summary()[["run_id", "fingerprint"]].itertuples(index=False, name=None)
    assert set(found) == {("run-1", synthetic.MACHINE.fingerprint), ("run-2", elsewhere.environment.fingerprint)}


def test_merging_pruning_and_rebuilding_leave_the_same_rows(store, tmp_path):
    for number, kinds in enumerate([KINDS, ("timing",), ("timing", "memory")], start=1):
        complete_run(store, f"run-{number}", *kinds)
    with Store.open(tmp_path / "other.db", create=True) as other:
        merge(other, store)
        assert_frame_equal(other.summary(), store.summary())
        before = other.summary()
        with other.database.writing() as connection:
            summary.rebuild(connection)
        assert_frame_equal(other.summary(), before)
    prune(store)  # the second run's timing, and the first's timing and memory, are superseded
    assert rows(store) == {"run-3": set(BY_KIND)}
