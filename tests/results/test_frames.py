"""The frames of a store: typed, and filtered in the database as pandas would filter them."""

import math
import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import insert

import results
from results import Where
from results.metrics import METRICS
from results.read import frames
from results.records import Cell, Planned, Run
from results.schema.tables import noise_floor, sample
from results.store import Store
from tests.support import three_runs
from tests.support.places import EXAMPLES

CELL = {
    "problem": "str", "backend": "str", "solver": "str", "horizon": "float64", "n_outputs": "int64",
    "rtol": "float64", "atol": "float64", "dt": "float64", "gradient": "str", "batch_size": "int64", "dtype": "str",
    "device": "str", "threads": "int64", "seed": "int64", "iterations": "int64", "optimiser": "str",
    "learning_rate": "float64", "evaluate": "str", "options": "str",
}  # fmt: skip
OF_TRIAL = {"fingerprint": "str", "run_id": "str", "cell_key": "str", "kind": "str", "process_index": "int64"}
DTYPES = {
    "runs": {
        "run_id": "str", "sweep_name": "str", "sweep_text": "str", "sweep_sha": "str", "fingerprint": "str",
        "facts": "object", "merged": "bool", "sequence": "int64", "measure": "object", "goals": "object",
        "state": "str", "started_at": "float64", "finished_at": "float64", "git_revision": "str", "git_dirty": "bool",
        "volatile": "object",
    },
    "cells": {"key": "str", **CELL},
    "planned": {"study": "str", "run_id": "str", "cell_key": "str", **CELL},
    "summary": {
        "run_id": "str", "cell_key": "str", "fingerprint": "str", "sweep": "str", **CELL, "status": "str",
        "reason": "str", "trials": "int64", "measured_at": "float64", **dict.fromkeys(METRICS, "float64"),
    },
    "trials": {
        "run_id": "str", "cell_key": "str", "kind": "str", "process_index": "int64", "status": "str", "reason": "str",
        "started_at": "float64", "duration_s": "float64", "position": "Int64", "log_tail": "str",
        "source": "str", "series": "str", "fingerprint": "str",
    },
    "metrics": {**OF_TRIAL, "name": "str", "value": "float64"},
    "samples": {
        **OF_TRIAL, "name": "str", "round_index": "int64", "position": "int64", "value": "float64", "repeats": "int64",
    },
    "curves": {**OF_TRIAL, "name": "str", "x": "object", "y": "object"},
    "noise_floors": {
        "run_id": "str", "cell_key": "str", "name": "str", "ratio": "float64", "low": "float64", "high": "float64",
        "pairs": "int64",
    },
}  # fmt: skip
TRIALWISE = ("trials", "metrics", "samples", "curves")


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize("name", DTYPES)
def test_columns_and_types_are_those_of_the_docstring(three, name):
    assert dtypes(getattr(three, name)()) == DTYPES[name]


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "runs"])
def test_an_empty_frame_has_the_same_columns_and_types(three, name):
    empty = getattr(three, name)(Where(run_id="no such run"))
    assert empty.empty
    assert dtypes(empty) == DTYPES[name]


@pytest.mark.parametrize("name", DTYPES)
def test_the_docstring_names_every_column(name):
    said = getattr(Store, name).__doc__
    said += "".join(getattr(Store, other).__doc__ for other in DTYPES if f"`{other}`" in said)
    said = " ".join(said.split())
    derived = {*(CELL if "fields of `results.records.Cell`" in said else ())}
    derived |= {*(METRICS if "A column for each of `results.METRICS`" in said else ())}
    for column in DTYPES[name]:
        assert column in derived or re.search(rf"\b{column}\b", said), column


FIELDS = {
    "problem": "spiral", "backend": ["node", "torchdiffeq"], "solver": ["dopri5", "rk4"], "gradient": "adjoint",
    "dtype": "float64", "device": ["cpu"], "horizon": [1.5, 25.0], "rtol": [1e-3, 1e-7], "atol": 1e-7,
    "dt": [0.5, 0.05], "n_outputs": [2, 100], "batch_size": 1, "threads": [1], "seed": [0, 3], "iterations": 200,
    "optimiser": ["", "Adam"], "learning_rate": [1e-3, 1e-2], "evaluate": "euler dt=0.1",
}  # fmt: skip


def test_every_field_of_a_cell_has_its_filter():
    assert {*FIELDS, "options"} == set(CELL)  # options: tests/results/test_options.py


@pytest.mark.parametrize(("field", "wanted"), FIELDS.items(), ids=FIELDS)
def test_a_field_filters_every_frame_as_pandas_does(three, field, wanted):
    cells = three.cells()
    values = wanted if isinstance(wanted, list) else [wanted]
    keys = set(cells.loc[cells[field].isin(values), "key"])
    assert keys
    where = Where(**{field: wanted})
    for name in ("planned", "summary", "trials", "metrics", "samples"):
        whole = getattr(three, name)()
        expected = whole[whole["cell_key"].isin(keys)].reset_index(drop=True)
        assert_frame_equal(getattr(three, name)(where), expected)


OF_TRIALS = {
    "cell_key": three_runs.CELLS[3].key,
    "kind": ["timing", "memory"],
    "fingerprint": three_runs.ELSEWHERE.fingerprint,
    "status": ["crashed", "unsupported", "interrupted"],
}


@pytest.mark.parametrize(("field", "wanted"), OF_TRIALS.items(), ids=OF_TRIALS)
@pytest.mark.parametrize("newest", [True, False])
def test_a_condition_on_trials_filters_them_as_pandas_does(three, field, wanted, newest):
    whole = three.trials(newest=newest)
    values = wanted if isinstance(wanted, list) else [wanted]
    expected = whole[whole[field].isin(values)].reset_index(drop=True)
    assert not expected.empty
    assert_frame_equal(three.trials(Where(**{field: wanted}), newest=newest), expected)


@pytest.mark.parametrize("name", ["error", ["forward_s", "first_call_s", "loss"]])
@pytest.mark.parametrize("frame", ["metrics", "samples", "curves"])
def test_a_name_filters_metrics_samples_and_curves(three, frame, name):
    whole = getattr(three, frame)()
    expected = whole[whole["name"].isin([name] if isinstance(name, str) else name)].reset_index(drop=True)
    assert_frame_equal(getattr(three, frame)(Where(name=name)), expected)


def test_conditions_are_joined_by_and(three):
    whole = three.summary()
    chosen = (whole["solver"] == "dopri5") & (whole["device"] == "cpu") & (whole["status"] == "ok")
    expected = whole[chosen & (whole["run_id"] == "run-1")].reset_index(drop=True)
    assert 0 < len(expected) < len(whole)
    assert_frame_equal(three.summary(Where(solver="dopri5", device="cpu", status="ok", run_id="run-1")), expected)


def test_nan_chooses_the_cells_without_a_value(three):
    cells = three.cells()
    assert_frame_equal(three.cells(Where(dt=math.nan)), cells[cells["dt"].isna()].reset_index(drop=True))
    either = cells[cells["dt"].isna() | (cells["dt"] == 0.5)].reset_index(drop=True)
    assert_frame_equal(three.cells(Where(dt=[0.5, math.nan])), either)


def newest_of(history: pd.DataFrame) -> pd.DataFrame:
    """The newest trials of a history, chosen with pandas."""
    ranked = history.assign(measured=history["status"] != "interrupted", row=range(len(history)))
    ranked = ranked.sort_values(["measured", "started_at", "row"])
    last = ranked.groupby(["fingerprint", "cell_key", "kind", "process_index"]).tail(1).sort_values("row")
    return last.drop(columns=["measured", "row"]).reset_index(drop=True)


def test_trials_are_the_newest_of_the_history(three):
    history = three.trials(newest=False)
    assert len(history) > len(three.trials())
    assert_frame_equal(three.trials(), newest_of(history))


@pytest.mark.parametrize("frame", ["metrics", "samples", "curves"])
def test_measured_frames_are_those_of_the_newest_trials(three, frame):
    history, newest = getattr(three, frame)(newest=False), getattr(three, frame)()
    keys = ["fingerprint", "run_id", "cell_key", "kind", "process_index"]
    chosen = history.merge(three.trials()[keys], on=keys, how="inner")
    assert len(newest) < len(history)
    assert_frame_equal(newest, chosen)


@pytest.mark.parametrize("frame", TRIALWISE)
def test_a_run_that_is_asked_for_is_read_whole_although_a_later_run_has_newer_trials(three, frame):
    history = getattr(three, frame)(newest=False)
    of_run = history[history["run_id"] == "run-1"].reset_index(drop=True)
    assert_frame_equal(getattr(three, frame)(Where(run_id="run-1")), of_run)
    assert_frame_equal(getattr(three, frame)(Where(run_id=["run-1"])), of_run)


def test_a_frame_read_in_parts_equals_the_whole_frame(three):
    with three.database.reading() as connection:
        query = frames.measured(sample, Where(solver="dopri5"))
        parts = list(frames.chunks(connection, query, 7))
    assert max(map(len, parts)) == 7
    assert_frame_equal(pd.concat(parts, ignore_index=True), three.samples(Where(solver="dopri5")))


def test_more_keys_than_a_statement_takes_parameters_can_be_asked_for(three):
    keys = [three_runs.CELLS[0].key, *(f"{number:016x}" for number in range(150_000))]
    assert set(three.trials(Where(cell_key=keys))["cell_key"]) == {three_runs.CELLS[0].key}
    assert {one.cell_key for one in three.standing(three_runs.ELSEWHERE.fingerprint, keys, [None]).trials} == {
        three_runs.CELLS[0].key
    }
    assert not three.cells(Where(seed=range(100_000))).empty
    assert three.cells(Where(seed=range(2**40, 2**40 + 9))).empty


def test_samples_are_read_in_parts(three):
    whole = three.samples()
    parts = list(three.samples_in_parts(rows=5))
    assert max(map(len, parts)) == 5
    assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    (empty,) = three.samples_in_parts(Where(run_id="none"))
    assert (list(empty), len(empty)) == (list(whole), 0)
    assert not three.cells(Where(dt=[*map(float, range(29_999)), math.nan])).empty


def test_conditions_take_the_values_of_pandas_and_numpy(three):
    cells = three.cells()
    assert len(three.cells(Where(cell_key=cells["key"], seed=cells["seed"], horizon=cells["horizon"]))) == len(cells)
    assert not three.cells(Where(seed=np.int64(0), horizon=np.float64(6.25), solver=np.str_("euler"))).empty
    assert not three.trials(Where(solver=(name for name in ("euler", "rk4")))).empty


@pytest.mark.parametrize(
    ("field", "wanted", "said"),
    [
        ("solver", 3, "solver=3: solver is a text: pass one, several in a list, or None for any"),
        ("solver", ["rk4", None], "solver=None: solver is a text"),
        ("cell_key", b"abc", "cell_key=b'abc': cell_key is a text"),
        ("rtol", "1e-3", "rtol='1e-3': rtol is a number"),
        ("seed", 1.5, "seed=1.5: seed is a whole number"),
        ("batch_size", True, "batch_size=True: batch_size is a whole number"),
        ("n_outputs", {2: 3}, "n_outputs={2: 3}: n_outputs is a whole number"),
        ("rtol", Fraction(10**400), "rtol: integer division result too large for a float: pass a"),
        ("dt", range(40_000), "dt: 40,000 different numbers: pass 30,000 at most"),
        ("status", "timeuot", "status='timeuot': no trial has such a status. Did you mean 'timeout'? There are: ok, "),
        ("kind", ["timing", "time"], "kind='time': no trial has such a kind"),
    ],
)
def test_an_impossible_value_is_refused_in_one_line(field, wanted, said):
    with pytest.raises(ValueError) as caught:
        Where(**{field: wanted})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("frame", "field"),
    [("cells", "kind"), ("planned", "status"), ("summary", "name"), ("trials", "name"), ("noise_floors", "kind")],
)
def test_a_condition_on_a_field_that_a_frame_lacks_is_refused(three, frame, field):
    value = {"kind": "timing", "status": "ok"}.get(field, "x")
    with pytest.raises(ValueError, match=f"cannot be chosen by {field}='{value}': leave it out"):
        getattr(three, frame)(Where(**{field: value}))


def test_noise_floors_are_read_as_written(url):
    cell = three_runs.CELLS[0]
    run: Run = three_runs.FIRST
    with results.open(url, create=True) as store:
        store.begin(run, [Planned("solvers", cell)])
        row = {"run_id": run.id, "cell_key": cell.key, "name": "forward_s", "ratio": 1.01, "low": 0.98, "high": 1.03}
        with store.database.writing() as connection:
            connection.execute(insert(noise_floor), {**row, "pairs": 14})
        assert store.noise_floors(Where(solver=cell.solver)).to_dict("records") == [{**row, "pairs": 14}]
        assert store.noise_floors(Where(name="gradient_s")).empty


def test_a_cell_is_found_by_its_key_or_the_beginning_of_it_and_by_no_longer_text(three):
    for key in three.cells()["key"]:
        assert three.cell(key) is not None
        assert three.cell(f"{key}0") is None
    assert three.cell(three_runs.CELLS[0].key[:7]) == three_runs.CELLS[0]


def test_standing_trials_are_the_newest_trials_that_were_measured(three):
    for environment in (three_runs.FIRST.environment, three_runs.ELSEWHERE):
        trials = three.trials(Where(fingerprint=environment.fingerprint))
        names = ["cell_key", "kind", "process_index", "status", "source", "series", "run_id"]
        expected = trials[trials["status"] != "interrupted"][names].astype({"source": object})
        expected["source"] = None
        standing = three.standing(environment.fingerprint, [cell.key for cell in all_cells()], [None])
        assert sorted(one[: len(names)] for one in standing.trials) == sorted(
            expected.itertuples(index=False, name=None)
        )


def all_cells() -> list[Cell]:
    odd = [three_runs.INTERRUPTED, three_runs.FAILED, three_runs.NOT_NUMBERS, three_runs.HUGE]
    return [*three_runs.CELLS, *odd]


@pytest.mark.exhaustive
def test_the_example_script_answers_its_question(measured_path):
    script = EXAMPLES / "read_results.py"
    command = [sys.executable, str(script), str(measured_path), "--problem", "cosine"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with results.open(str(measured_path)) as store:
        wide = store.summary(Where(problem="cosine", status="ok"))
    best = wide[wide["error"] <= 1e-4].sort_values("nfe_forward").iloc[0]
    assert said.splitlines()[1].split()[:2] == [best["solver"], f"{best['nfe_forward']:.0f}"]
