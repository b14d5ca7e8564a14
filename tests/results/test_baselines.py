"""Baselines, which are trials saved under a name, and notes on runs and cells."""

import pytest

from results.engine.location import StoreError
from results.read.where import Where
from results.records import Environment
from results.store import Store
from results.tools import annotations, baselines
from results.tools.pytest_benchmark import SWEEP
from tests.support.stocked import CELLS, PLAN, a_run, a_trial, counts, measure


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


def test_a_baseline_holds_the_newest_trials_at_its_time(store):
    measure(store, "old", started_at=10.0)
    assert baselines.keep(store, "good", note="before the change") == 6
    frames = store.trials(), store.metrics(), store.samples()
    measure(store, "new", started_at=20.0)
    kept = baselines.trials(store, "good"), baselines.metrics(store, "good"), baselines.samples(store, "good")
    for before, after in zip(frames, kept, strict=True):
        assert before[sorted(before)].equals(after[sorted(after)])
        assert list(before) == list(after)


def test_a_baseline_is_of_the_environment_that_was_recorded_last(store):
    measure(store, "here", started_at=30.0)
    measure(store, "there", started_at=10.0, where=Environment({"cpu": "two"}))
    measure(store, "imported", started_at=40.0, where=Environment({"cpu": "three"}), sweep_name=SWEEP)
    baselines.keep(store, "good")
    assert set(baselines.trials(store, "good")["run_id"]) == {"there"}


def test_a_run_can_be_named_by_the_start_of_its_id(store):
    measure(store, "abc", started_at=10.0)
    measure(store, "abd", started_at=20.0)
    assert baselines.keep(store, "good", run_start="abc") == 6
    assert set(baselines.trials(store, "good")["run_id"]) == {"abc"}
    for start, said in (("ab", "2 begin with 'ab': add digits. run abc, run abd"), ("x", "no run begins")):
        with pytest.raises(StoreError, match=said):
            baselines.keep(store, "other", run_start=start)


def test_interrupted_trials_are_no_baseline(store):
    store.begin(a_run("run"), PLAN)
    store.record("run", a_trial(status="interrupted"))
    with pytest.raises(StoreError, match="no trial to keep as 'good': run `nodebench run` first"):
        baselines.keep(store, "good")
    assert counts(store)["baseline"] == 0


def test_an_empty_database_has_nothing_to_keep(store):
    with pytest.raises(StoreError, match="no trial to keep"):
        baselines.keep(store, "good")


def test_a_name_of_a_baseline_is_given_once_unless_replaced(store):
    measure(store, "old", started_at=10.0)
    baselines.keep(store, "good", note="first")
    measure(store, "new", started_at=20.0)
    with pytest.raises(StoreError, match="there is a baseline 'good' already: pass --replace"):
        baselines.keep(store, "good")
    assert set(baselines.trials(store, "good")["run_id"]) == {"old"}
    baselines.keep(store, "good", note="second", replace=True)
    assert set(baselines.trials(store, "good")["run_id"]) == {"new"}
    assert list(baselines.listed(store)["note"]) == ["second"]


def test_a_baseline_that_cannot_be_replaced_stays(store):
    measure(store, "old", started_at=10.0)
    baselines.keep(store, "good")
    with pytest.raises(StoreError, match="no run begins"):
        baselines.keep(store, "good", replace=True, run_start="nothing")
    assert len(baselines.trials(store, "good")) == 6


def test_baselines_are_listed_with_their_numbers_of_trials_cells_and_runs(store):
    assert baselines.listed(store).empty
    measure(store, "old", started_at=10.0)
    baselines.keep(store, "good", note="why")
    (row,) = baselines.listed(store).to_dict("records")
    assert (row["name"], row["note"], row["trials"], row["cells"], row["runs"]) == ("good", "why", 6, 3, 1)


def test_a_baseline_is_removed_and_its_trials_stay(store):
    measure(store, "old", started_at=10.0)
    baselines.keep(store, "good")
    baselines.remove(store, "good")
    assert baselines.listed(store).empty
    assert len(store.trials()) == 6
    with pytest.raises(StoreError, match=r"no baseline 'good'\. Known: none"):
        baselines.remove(store, "good")


def test_a_note_is_on_the_run_or_the_cell_whose_id_begins_so(store):
    measure(store, "run-1", started_at=10.0)
    assert annotations.annotate(store, "run-", "a warm day", author="me") == "run run-1"
    assert annotations.annotate(store, CELLS[0].key[:8], "the simplest") == f"cell {CELLS[0].key}"
    notes = annotations.notes_of_cell(store, CELLS[0].key)
    assert [(note.text, note.run_id, note.cell_key) for note in notes] == [
        ("a warm day", "run-1", None),
        ("the simplest", None, CELLS[0].key),
    ]
    assert notes[0].author == "me"
    assert [note.text for note in annotations.notes_of_cell(store, CELLS[1].key)] == ["a warm day"]


@pytest.mark.parametrize(
    ("key", "said"), [("zz", "no run or cell begins with 'zz'"), ("", r"5 begin with '': add digits. run ")]
)
def test_a_note_on_an_unknown_or_ambiguous_id_is_refused(store, key, said):
    measure(store, "run-1", started_at=10.0)
    measure(store, "run-10", started_at=10.0)
    with pytest.raises(StoreError, match=said):
        annotations.annotate(store, key, "hm")
    assert counts(store)["annotation"] == 0


def test_a_whole_id_that_begins_another_is_not_ambiguous(store):
    measure(store, "run-1", started_at=10.0)
    measure(store, "run-10", started_at=10.0)
    assert annotations.annotate(store, "run-1", "this one") == "run run-1"


@pytest.mark.parametrize("said", ["", "  "])
def test_an_empty_note_is_refused(store, said):
    measure(store, "run-1", started_at=10.0)
    with pytest.raises(StoreError, match="the note is empty"):
        annotations.annotate(store, "run-1", said)


def test_a_condition_names_a_baseline_beside_anything_else(store):
    measure(store, "old", started_at=1.0)
    baselines.keep(store, "good")
    measure(store, "new", started_at=2.0)
    cell = Where(baseline="good", cell_key=CELLS[0].key)
    assert set(store.trials(cell)["run_id"]) == {"old"}
    assert set(store.metrics(cell)["cell_key"]) == {CELLS[0].key}
    with pytest.raises(StoreError, match="cells cannot be chosen by baseline='good'"):
        store.cells(Where(baseline="good"))
