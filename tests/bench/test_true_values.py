"""True values: kept with their provenance, read back bit for bit, and computed once for all runs."""

from dataclasses import replace

import numpy as np
import pytest

from bench.backends import BACKENDS
from bench.measures.accuracy import errors
from bench.problems import PROBLEMS
from bench.sweep.measure import Measure
from results.records import Cell, TrueValues
from results.store import Store
from results.tools.merge import merge
from results.tools.true_values import keep, kept
from tests.support.small_runs import run, sweep_of

VALUES = np.array([[0.1, -0.0], [np.pi, 5e-324]])
TRUE = TrueValues(
    problem="spiral",
    name="solution",
    asked={"horizon": 1.5, "seed": 0},
    provenance={"method": "by hand"},
    shape=VALUES.shape,
    array=VALUES.astype("<f8").tobytes(),
)
CELL = Cell(
    problem="spiral", backend="node", solver="dopri5", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5,
    gradient="backprop",
)  # fmt: skip


def test_true_values_are_read_back_bit_for_bit(url):
    with Store.open(url, create=True) as store:
        assert keep(store, [TRUE]) == 1
    with Store.open(url) as store:
        (read,) = kept(store, "spiral")
        assert read == TRUE
        assert np.frombuffer(read.array).tobytes() == VALUES.tobytes()
        assert kept(store, "lorenz") == []


def test_true_values_that_are_kept_already_are_not_overwritten(url):
    later = replace(TRUE, provenance={"method": "by another hand"})
    with Store.open(url, create=True) as store:
        assert [keep(store, [TRUE]), keep(store, [later, TRUE])] == [1, 0]
        assert kept(store, "spiral") == [TRUE]


@pytest.mark.parametrize(
    "change", [{"name": "gradient"}, {"asked": {"horizon": 1.5, "seed": 1}}, {"problem": "lorenz"}]
)
def test_other_true_values_have_another_key(store, change):
    other = replace(TRUE, **change)
    assert keep(store, [TRUE, other]) == 2
    assert TRUE.key != other.key


def test_a_merge_brings_true_values_along(tmp_path):
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs:
        keep(theirs, [TRUE])
        with Store.open(str(tmp_path / "ours.db"), create=True) as ours:
            merge(ours, theirs)
            assert kept(ours, "spiral") == [TRUE]


def test_kept_true_values_are_not_computed_again_and_give_the_same_errors(store):
    problem = PROBLEMS["spiral"]
    workload = BACKENDS["node"].prepare(CELL, problem)
    found, computed = errors(CELL, problem, workload)
    assert sorted(one.name for one in computed) == ["gradient", "solution"]
    keep(store, computed)
    assert errors(CELL, problem, workload, kept(store, "spiral")) == (found, ())


def measure(store: Store, *cells: Cell) -> None:
    assert run(store, sweep_of(*cells, measure=Measure(processes=1, max_processes=1, rounds=1)))


@pytest.mark.exhaustive
def test_cells_and_runs_that_ask_for_the_same_share_their_true_values(store):
    measure(store, CELL, replace(CELL, rtol=1e-4))
    shared = kept(store, "spiral")
    assert sorted(one.name for one in shared) == ["gradient", "solution"]
    assert shared[0].provenance["tolerance"] == "rtol = atol = 1e-12"
    measure(store, replace(CELL, solver="bosh3", gradient="adjoint"))
    assert kept(store, "spiral") == shared
    measure(store, replace(CELL, horizon=0.6))
    assert len(kept(store, "spiral")) == 4
