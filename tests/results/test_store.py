"""The store: what is written is read back, and invalid writes are refused whole."""

import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from results.read.where import Where
from results.records import Curve, Environment, Planned, Sample
from results.store import Store, StoreError
from tests.support.one_run import DOPRI5, EULER, HERE, PLAN, a_run, timing


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


def test_a_run_is_read_as_it_was_begun(store):
    store.begin(a_run(), PLAN)
    (row,) = store.runs().to_dict("records")
    expected = a_run()
    assert row["run_id"] == expected.id
    assert row["sweep_name"] == expected.sweep_name
    assert row["sweep_text"] == expected.sweep_text
    assert row["fingerprint"] == expected.environment.fingerprint
    assert row["facts"] == expected.environment.facts
    assert row["volatile"] == expected.volatile
    assert (row["git_revision"], row["git_dirty"], row["started_at"]) == ("abc", True, 1.0)
    assert row["state"] == "running"
    assert math.isnan(row["finished_at"])


def test_finishing_writes_the_state_and_the_time(store):
    store.begin(a_run(), PLAN)
    store.finish("run-1", state="interrupted")
    (row,) = store.runs().to_dict("records")
    assert row["state"] == "interrupted"
    assert row["finished_at"] > row["started_at"]


def test_an_unknown_state_of_a_run_is_refused(store):
    store.begin(a_run(), PLAN)
    with pytest.raises(ValueError, match="unknown state 'done'"):
        store.finish("run-1", state="done")


def test_an_unknown_run_cannot_finish(store):
    with pytest.raises(StoreError, match="no run 'run-7'"):
        store.finish("run-7", state="complete")


def test_planned_cells_are_read_in_the_order_of_the_sweep(store):
    store.begin(a_run(), PLAN)
    planned = store.planned(Where(run_id="run-1"))
    assert list(planned["study"]) == ["solvers", "adaptive", "solvers"]
    assert list(planned["cell_key"]) == [EULER.key, DOPRI5.key, DOPRI5.key]
    assert planned["rtol"].isna().tolist() == [True, False, False]
    assert planned["dt"].tolist()[0] == 0.1


def test_a_cell_that_two_grids_share_is_planned_once(store):
    store.begin(a_run(), [*PLAN, *PLAN])
    assert len(store.planned(Where(run_id="run-1"))) == len(PLAN)


def test_two_runs_share_sweep_environment_and_cells(store):
    store.begin(a_run("run-1"), PLAN)
    store.begin(a_run("run-2"), PLAN)
    assert len(store.runs()) == 2
    assert len(store.planned(Where(run_id=["run-1", "run-2"]))) == 2 * len(PLAN)


def test_the_same_run_cannot_begin_twice(store):
    store.begin(a_run(), PLAN)
    with pytest.raises(StoreError, match="has this run already: each is written once"):
        store.begin(a_run(), PLAN)
    assert len(store.runs()) == 1


def test_the_same_trial_cannot_be_recorded_twice(store):
    store.begin(a_run(), PLAN)
    store.record("run-1", timing())
    with pytest.raises(StoreError, match="has this trial already"):
        store.record("run-1", timing())
    assert len(store.samples()) == 2


def test_a_trial_needs_its_cell(store):
    store.begin(a_run(), PLAN)
    with pytest.raises(StoreError, match=r"lacks what a row refers to \(no such run, cell or trial\)"):
        store.record("run-1", timing(cell_key="unknown"))


def test_a_trial_is_read_as_it_was_recorded(store):
    store.begin(a_run(), PLAN)
    curve = Curve([0.0, 0.5, 1.0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    store.record("run-1", timing(metrics={"error": 1e-3, "nfe_forward": 40.0}, curves={"trajectory_true": curve}))
    (trial,) = store.trials().to_dict("records")
    assert (trial["run_id"], trial["cell_key"], trial["kind"]) == ("run-1", EULER.key, "timing")
    assert (trial["process_index"], trial["status"], trial["reason"]) == (0, "ok", "")
    assert (trial["started_at"], trial["duration_s"]) == (2.0, 0.5)
    metrics = store.metrics()
    assert dict(zip(metrics["name"], metrics["value"], strict=True)) == {"error": 1e-3, "nfe_forward": 40.0}
    samples = store.samples()
    assert samples[["round_index", "position", "value", "repeats"]].values.tolist() == [
        [0, 1, 0.5, 3],
        [1, 0, 1.5, 3],
    ]
    (read,) = store.curves().to_dict("records")
    np.testing.assert_array_equal(read["x"], curve.x)
    np.testing.assert_array_equal(read["y"], curve.y)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 0.1])
def test_every_float_survives(store, value):
    store.begin(a_run(), PLAN)
    store.record("run-1", timing(metrics={"error": value}, curves={"loss": Curve([value], [[value]])}))
    np.testing.assert_array_equal(store.metrics()["value"], [value])
    np.testing.assert_array_equal(store.curves()["y"][0], [[value]])


def test_empty_frames_keep_their_types(store):
    full = {"rtol": "float64", "n_outputs": "int64", "solver": "str"}
    assert {name: str(store.planned(Where(run_id=[]))[name].dtype) for name in full} == full
    assert str(store.samples()["value"].dtype) == "float64"
    assert store.curves().empty


def test_frames_hold_only_the_cells_asked_for(store):
    store.begin(a_run(), PLAN)
    store.record("run-1", timing(EULER, metrics={"error": 1.0}))
    store.record("run-1", timing(DOPRI5, metrics={"error": 2.0}))
    for frame in (store.trials, store.metrics, store.samples):
        assert set(frame(Where(cell_key=[DOPRI5.key]))["cell_key"]) == {DOPRI5.key}
        assert frame(Where(cell_key=[])).empty


def test_environments_are_kept_apart(store):
    there = Environment({"cpu": "two"})
    store.begin(a_run("run-1"), PLAN)
    store.begin(a_run("run-2", environment=there), PLAN)
    store.record("run-1", timing(metrics={"error": 1.0}))
    store.record("run-2", timing(metrics={"error": 2.0}))
    assert store.metrics(Where(fingerprint=HERE.fingerprint))["value"].tolist() == [1.0]
    assert store.metrics(Where(fingerprint=there.fingerprint))["value"].tolist() == [2.0]
    assert len(store.trials()) == 2
    assert store.standing("another", [EULER.key], [None]).trials == []


def test_position_and_log_are_stored_and_invalid_characters_replaced(store):
    store.begin(a_run(), PLAN)
    store.record("run-1", timing(position=3, log_tail="a zero \0, half a \ud800, an ö", reason="\0"))
    (trial,) = store.trials().to_dict("records")
    assert (trial["position"], trial["reason"]) == (3, "\ufffd")
    assert trial["log_tail"] == "a zero \ufffd, half a ?, an ö"


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (Sample(1, 1, math.nan), "sample 1 forward_s 1: value = None: it should be a valid number"),
        (Sample(0, 1, 2.0), "has this sample already"),
    ],
    ids=["a sample without a value", "two samples of one round"],
)
def test_a_trial_that_cannot_be_written_leaves_no_row(store, second, said):
    broken = timing(samples={"forward_s": [Sample(0, 0, 1.0), second]}, metrics={"error": 1.0})
    store.begin(a_run(), PLAN)
    with pytest.raises(StoreError, match=said):
        store.record("run-1", broken)
    assert store.trials().empty
    assert store.metrics().empty
    assert store.samples().empty


def test_a_trial_needs_its_run(store):
    store.begin(a_run(), PLAN)
    with pytest.raises(StoreError, match="no run 'run-7' in this database: begin it first"):
        store.record("run-7", timing())


def test_a_whole_number_too_large_for_a_server_is_refused_in_one_line(store):
    with pytest.raises(StoreError, match="seed = 3000000000: it should be less than or equal to 2147483647"):
        store.begin(a_run(), [Planned("solvers", replace(EULER, seed=3_000_000_000))])
    assert store.runs().empty


def test_a_cell_is_found_by_key_and_by_prefix(store):
    store.begin(a_run(), PLAN)
    assert store.cell(EULER.key) == EULER
    assert store.cell(DOPRI5.key[:6]) == DOPRI5
    assert store.cell("nothing") is None
    assert store.cell("%") is None


def test_an_ambiguous_prefix_lists_its_cells(store):
    store.begin(a_run(), PLAN)
    with pytest.raises(StoreError) as caught:
        store.cell("")
    for cell in (EULER, DOPRI5):
        assert f"{cell.key}: {cell.label}" in str(caught.value)


def test_recording_loads_neither_pandas_nor_torch():
    command = "import sys, results.store; print({'pandas', 'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_sqlite_has_a_write_ahead_log(tmp_path):
    with (
        Store.open(str(tmp_path / "bench.db"), create=True),
        closing(sqlite3.connect(tmp_path / "bench.db")) as connection,
    ):
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
