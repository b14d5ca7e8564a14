"""The option `--again` and the verb `db forget`: recorded trials can be measured again or removed."""

from dataclasses import replace
from itertools import permutations

import pytest

from bench.failure import UsageError
from bench.plan.again import again
from reports.views.findings.comparison import ratio_of
from reports.views.selection import select
from results.store import Store
from tests.support.small_runs import CELL, MEASURE, runner, sweep_of

OTHER = replace(CELL, solver="bosh3")
CELLS = [CELL, OTHER]


def measure(store: Store, *words: str, measure=MEASURE) -> int:
    """Run the sweep with these words after --again; return the number of trials measured."""
    execution = runner(store, sweep_of(*CELLS, measure=measure))
    execution._again = again(words, CELLS)
    assert execution.run()
    return execution.measured


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as opened:
        assert measure(opened) == 9  # counts, accuracy, memory and timing of both cells, and one twin
        yield opened


@pytest.mark.exhaustive
def test_again_all_measures_every_trial_again_and_keeps_the_earlier_ones_as_history(store):
    before = store.trials()
    assert measure(store) == 0
    assert measure(store, "all") == 9
    after = store.trials()
    assert len(after) == len(before)
    assert set(after["run_id"]).isdisjoint(before["run_id"])
    assert len(store.trials(newest=False)) == 2 * len(before)
    assert measure(store, "failed") == 0


@pytest.mark.exhaustive
def test_a_cell_is_chosen_by_the_start_of_its_key(store):
    ids = set(store.runs()["run_id"])
    assert measure(store, CELL.key[:8]) >= 5
    new = store.trials()
    new = new[~new["run_id"].isin(ids) & ~new["kind"].isin(["timing", "twin"])]
    assert set(new["cell_key"]) == {CELL.key}


@pytest.mark.exhaustive
def test_a_cell_measured_again_can_still_be_compared_with_the_others(tmp_path):
    """The control beside which a cell is timed now has older rounds in common with the other cells."""
    cells = [CELL, OTHER, replace(CELL, solver="heun")]
    with Store.open(str(tmp_path / "three.db"), create=True) as store:
        assert runner(store, sweep_of(*cells)).run()
        for cell in cells:
            again_one = runner(store, sweep_of(*cells))
            again_one._again = again([cell.key], cells)
            assert again_one.run()
            shown = select(store).cells
            for one, other in permutations(cells, 2):
                assert ratio_of(shown[one.key], shown[other.key], "forward_s") is not None


@pytest.mark.exhaustive
def test_further_timing_processes_join_the_recorded_series(store):
    more = MEASURE.model_copy(update={"processes": 2, "max_processes": 2})
    assert measure(store, measure=more) == 3  # a timing of each cell and a twin
    timings = store.trials()
    timings = timings[timings["kind"] == "timing"]
    assert sorted(timings[timings["cell_key"] == CELL.key]["process_index"]) == [0, 1]
    assert timings["series"].nunique() == 1
    assert measure(store, measure=more) == measure(store) == 0


@pytest.mark.exhaustive
def test_a_trial_that_had_too_little_time_is_measured_when_more_is_granted(tmp_path):
    short = MEASURE.model_copy(update={"timeout_s": 1e-4})
    with Store.open(str(tmp_path / "short.db"), create=True) as store:
        assert measure(store, measure=short) == 2
        assert set(store.trials()["status"]) == {"timeout"}
        assert measure(store, measure=short) == 0
        assert measure(store) == 9
        assert set(store.trials()["status"]) == {"ok"}


@pytest.mark.parametrize("word", ["failedd", "ffffffff", CELL.key[:2]])
def test_a_word_that_chooses_nothing_is_refused_in_one_line(word):
    with pytest.raises(UsageError, match=f"^--again {word}: no cell of this sweep has a key that begins so"):
        again([word], CELLS)


def test_words_may_be_separated_by_commas_or_given_one_by_one():
    assert again([], CELLS) is None
    assert again(["failed,unstable", CELL.key], CELLS) is not None


@pytest.mark.exhaustive
def test_what_is_forgotten_is_measured_by_the_next_run(call, store):
    place = store.database.place
    assert call("db", "forget", "--db", place)[0] == 2
    code, out, _ = call("db", "forget", "--only", "solver=bosh3", "--db", place)
    assert code == 0
    assert out.startswith("removed: ")
    assert set(store.trials()["cell_key"]) == {CELL.key}
    assert measure(store) >= 4
    assert set(store.trials()["cell_key"]) == {CELL.key, OTHER.key}
