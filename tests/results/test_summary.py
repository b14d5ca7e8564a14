"""The table `summary` equals what pandas derives from the frames, after each trial and after a rebuild."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import delete, update

from results import Where
from results.metrics import METRICS
from results.records import Cell, Planned, Sample, Trial
from results.schema import summary, views
from results.schema.tables import summary as table
from results.store import Store
from results.tools.check import findings
from tests.support import synthetic, synthetic_cells, three_runs


def derived(store: Store) -> pd.DataFrame:
    """The rows of the summary derived from the frames alone; the medians leave out NaN."""
    trials = store.trials(newest=False)
    trials = trials[(trials["status"] != "interrupted") & (trials["kind"] != "twin")]
    measured = pd.concat([store.metrics(newest=False), store.samples(newest=False)])
    measured = measured[measured["kind"] != "twin"]
    runs = store.runs().set_index("run_id")
    cells = store.cells().set_index("key")
    rows = []
    for (run_id, key), of_cell in trials.groupby(["run_id", "cell_key"]):
        values = measured[(measured["run_id"] == run_id) & (measured["cell_key"] == key)].groupby("name")["value"]
        medians = {name: exact_median(of_name.dropna()) for name, of_name in values}
        failed = of_cell[of_cell["status"] != "ok"]
        rows.append(
            {
                "run_id": run_id,
                "cell_key": key,
                "fingerprint": runs.loc[run_id, "fingerprint"],
                "sweep": runs.loc[run_id, "sweep_name"],
                **cells.loc[key],
                "status": "ok" if failed.empty else failed["status"].iloc[0],
                "reason": "" if failed.empty else failed["reason"].iloc[0],
                "trials": len(of_cell),
                "measured_at": of_cell["started_at"].max(),
                **{name: medians.get(name, math.nan) for name in METRICS},
            }
        )
    return pd.DataFrame(rows).sort_values(["run_id", "cell_key"], ignore_index=True)


def exact_median(values: pd.Series) -> float:
    """The median without overflow; NumPy's median overflows between 1e308 and 1.7e308."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else low + (high - low) / 2


def test_the_summary_is_what_pandas_derives_from_the_frames(three):
    assert_frame_equal(three.summary(), derived(three), check_dtype=False)


def row(store: Store, cell: Cell, run_id: str = "run-1") -> dict:
    (only,) = store.summary(Where(cell_key=cell.key, run_id=run_id)).to_dict("records")
    return only


def test_an_interrupted_cell_has_no_row(three):
    assert three.summary(Where(cell_key=three_runs.INTERRUPTED.key)).empty
    assert not three.trials(Where(cell_key=three_runs.INTERRUPTED.key)).empty


def test_a_failed_cell_has_its_first_failure_and_no_metric(three):
    found = row(three, three_runs.FAILED)
    assert (found["status"], found["reason"], found["trials"]) == ("crashed", "it is gone", 2)
    assert all(math.isnan(found[name]) for name in METRICS)


def test_infinity_counts_as_a_number_and_nan_does_not(three):
    found = row(three, three_runs.NOT_NUMBERS)
    assert (found["status"], found["error"], found["nfe_forward"]) == ("ok", math.inf, 7.0)
    assert math.isnan(found["error_final"])


def test_the_median_of_numbers_too_large_to_be_added_is_right(three):
    found = row(three, three_runs.HUGE)
    assert found["forward_s"] == 1.7e308  # of 1e308, 1.7e308 twice, and infinity
    assert found["error"] == -1.7e308


CELL = next(cell for cell in synthetic_cells.spiral_cells() if not synthetic._missing(cell))


@pytest.fixture
def begun(url) -> Iterator[Store]:
    with Store.open(url, create=True) as store:
        store.begin(synthetic.run(), [Planned("spiral", CELL)])
        yield store


def test_the_row_is_right_after_every_trial(begun):
    for trial in synthetic.trials(CELL):
        begun.record("run-1", trial)
        assert_frame_equal(begun.summary(), derived(begun), check_dtype=False)
    assert set(begun.trials()["kind"]) == {"counts", "accuracy", "timing", "memory", "training"}


def test_an_interrupted_trial_changes_nothing(begun):
    trials = list(synthetic.trials(CELL))
    begun.record("run-1", trials[0])
    before = begun.summary()
    begun.record("run-1", replace(trials[1], status="interrupted", metrics={"error": 1.0}))
    assert_frame_equal(begun.summary(), before)


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_a_twin_is_no_measurement_of_the_cell(begun, status):
    """The twin may fail or be far off: the row has the cell's own timings."""
    timing = Trial(
        cell_key=CELL.key, kind="timing", metrics={"busy_s": 1.0}, samples={"forward_s": [Sample(0, 0, 1.0)]}
    )
    off = {"metrics": {"busy_s": 9.0, "unstable": 1.0}, "samples": {"forward_s": [Sample(0, 1, 9.0)]}}
    twin = replace(timing, kind="twin", status=status, reason="it is a twin", started_at=9.0, **off)
    begun.record("run-1", twin)
    assert begun.summary().empty
    begun.record("run-1", timing)
    assert_frame_equal(begun.summary(), derived(begun), check_dtype=False)
    found = row(begun, CELL)
    assert (found["status"], found["reason"], found["trials"], found["measured_at"]) == ("ok", "", 1, 0.0)
    assert (found["forward_s"], found["busy_s"]) == (1.0, 1.0)
    assert math.isnan(found["unstable"])
    assert len(begun.samples(Where(kind="twin"))) == len(begun.samples(Where(kind="timing"))) == 1


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([3.0], 3.0),
        ([4.0, 1.0], 2.5),
        ([2.0, 9.0, 1.0], 2.0),
        ([5e-324, 5e-324], 5e-324),
        ([0.1, 0.2, 0.3, 0.4], 0.25),
    ],
)
def test_the_median_of_samples(begun, values, median):
    samples = [Sample(index, 0, value) for index, value in enumerate(values)]
    begun.record("run-1", Trial(cell_key=CELL.key, kind="timing", samples={"forward_s": samples}))
    assert row(begun, CELL)["forward_s"] == pytest.approx(median, rel=1e-15)


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([-math.inf, 5.0, 6.0], 5.0),
        ([math.inf, math.inf, 1.0, 2.0], math.inf),
        ([math.inf, math.inf], math.inf),
        ([-math.inf, -math.inf], -math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([1.0, math.inf], math.inf),
        ([-1.7e308, 1.7e308], 0.0),
        ([-1.7e308, 1.6e308], -5e306),
        ([5e-324, 1e-323], 5e-324),
        ([-5e-324, 1e-323], 0.0),
    ],
)
def test_the_median_of_metrics(begun, values, median):
    for index, value in enumerate(values):
        begun.record("run-1", Trial(cell_key=CELL.key, kind="timing", process_index=index, metrics={"error": value}))
    assert row(begun, CELL)["error"] == pytest.approx(median, rel=1e-12, abs=0)


def test_between_infinities_of_both_signs_there_is_no_median(begun):
    for index, value in enumerate([-math.inf, math.inf]):
        begun.record("run-1", Trial(cell_key=CELL.key, kind="timing", process_index=index, metrics={"error": value}))
    assert math.isnan(row(begun, CELL)["error"])
    assert list(findings(begun)) == []


def test_the_median_of_processes_is_over_all_their_samples(begun):
    for index, values in enumerate([(1.0, 2.0, 3.0), (10.0,)]):
        samples = [Sample(number, 0, value) for number, value in enumerate(values)]
        trial = Trial(cell_key=CELL.key, kind="timing", process_index=index, samples={"forward_s": samples})
        begun.record("run-1", trial)
    assert row(begun, CELL)["forward_s"] == 2.5


@pytest.fixture
def filled(url) -> Iterator[Store]:
    with Store.open(url, create=True) as store:
        for name in ("run-1", "run-2"):
            store.begin(synthetic.run(name), [Planned("spiral", CELL)])
            for trial in synthetic.trials(CELL):
                store.record(name, trial)
        yield store


def damage(store: Store) -> None:
    with store.database.writing() as connection:
        connection.execute(update(table).where(table.c.run_id == "run-1").values(forward_s=1.0, status="crashed"))
        connection.execute(delete(table).where(table.c.run_id == "run-2"))


def test_a_damaged_summary_is_rebuilt(filled):
    before = filled.summary()
    damage(filled)
    assert not filled.summary().equals(before)
    with filled.database.writing() as connection:
        assert summary.rebuild(connection) == 2
    assert_frame_equal(filled.summary(), before)


def test_a_remade_summary_has_the_same_rows(filled):
    before = filled.summary()
    with filled.database.writing() as connection:
        views.drop(connection)
        table.drop(connection)
        summary.remake(connection)
    assert_frame_equal(filled.summary(), before)


def test_a_row_has_the_fields_of_its_cell(filled):
    found = row(filled, CELL)
    for name, value in asdict(CELL).items():
        assert found[name] == value or (value is None and np.isnan(found[name]))
