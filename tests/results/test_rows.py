"""Both engines treat any trial alike: they refuse it in one line, or store it bit for bit."""

import re
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.engine.location import StoreError
from results.records import TRIAL_KINDS, TRIAL_STATUSES, Curve, Sample, Trial
from results.store import Store
from tests.support.stocked import CELLS, PLAN, a_run, contents


def mostly(good: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    """A strategy for good values, with an odd value in one case of thirty."""
    return st.integers(0, 29).flatmap(lambda number: odd if number == 7 else good)


ODD_TEXTS = st.text(st.characters(), max_size=20)  # with halves of surrogate pairs, and zero bytes
TEXTS = mostly(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), ODD_TEXTS)
NUMBERS = mostly(st.floats(allow_nan=False, allow_infinity=False), st.floats() | st.integers(-(2**40), 2**40))
TIMES = mostly(st.floats(0, 1e10), NUMBERS)
WHOLE = mostly(st.integers(0, 2**31 - 1), st.integers(-(2**70), 2**70))
SAMPLES = st.lists(st.builds(Sample, WHOLE, WHOLE, NUMBERS, WHOLE), max_size=3, unique_by=lambda one: one.round_index)
TRIALS = st.builds(
    Trial,
    cell_key=st.sampled_from([cell.key for cell in CELLS]),
    kind=mostly(st.sampled_from(TRIAL_KINDS), ODD_TEXTS),
    process_index=WHOLE,
    status=mostly(st.sampled_from(TRIAL_STATUSES), ODD_TEXTS),
    reason=ODD_TEXTS,
    log_tail=ODD_TEXTS,
    started_at=TIMES,
    duration_s=TIMES,
    position=st.none() | WHOLE,
    series=TEXTS,
    metrics=st.dictionaries(TEXTS, st.floats(), max_size=3),
    samples=st.dictionaries(TEXTS, SAMPLES, max_size=2),
    curves=st.dictionaries(
        TEXTS, st.lists(st.floats(), max_size=3).map(lambda x: Curve(x, [[one, -one] for one in x])), max_size=2
    ),
)


@pytest.fixture
def stores(server_url, tmp_path):
    with ExitStack() as stack:
        both = [stack.enter_context(Store.open(url, create=True)) for url in (str(tmp_path / "a.db"), server_url)]
        for store in both:
            store.begin(a_run("run"), PLAN)
        yield both


def test_both_engines_keep_the_same_of_any_trial(stores):
    seen = Counter()

    @settings(max_examples=150, deadline=None, database=None)
    @given(trial=TRIALS)
    def same(trial: Trial) -> None:
        said = [recorded(store, trial) for store in stores]
        assert len(set(said)) == 1, said
        assert "\n" not in said[0]
        seen[said[0] == "kept"] += 1

    same()
    assert min(seen[True], seen[False]) > 20, seen
    file, server = map(contents, stores)
    assert file == server


def recorded(store: Store, trial: Trial) -> str:
    """`kept`, or the message that refuses the trial, without the number of a row and the database's place."""
    try:
        store.record("run", trial)
    except StoreError as error:
        return re.sub(r"(metric|sample|curve) \d+", r"\1", str(error).replace(store.database.place, ""))
    return "kept"
