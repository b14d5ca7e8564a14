"""Workers that fail in every known way: each failure gives a row, and the rest of the sweep is measured."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from bench.backends import BACKENDS
from bench.backends.node import NodeBackend
from bench.sweep.measure import Measure
from bench.worker import isolated as worker
from node.registry import Origin, registering_from
from results.read.where import Where
from results.records import Cell
from results.store import Store
from tests.support.misdeeds import (
    MISDEEDS,
    Misdeed,
    allocates,
    allocates_objects,
    exits,
    exits_politely,
    forks,
    forks_and_exits,
    forks_and_hangs,
    gives_nan,
    hangs,
    ignores_sigterm,
    raises,
    segfaults,
)
from tests.support.small_runs import run, sweep_of

CHEAP = Cell(problem="spiral", backend="node", solver="bosh3", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5)
EXPENSIVE = replace(CHEAP, solver="dopri5", rtol=1e-6)
ROUNDS = 4
QUICK = Measure(processes=1, max_processes=1, rounds=ROUNDS, timeout_s=60.0, memory_gib=0.5)
FAILS_IN = 2  # the round in which a late backend fails


class Misbehaving(NodeBackend):
    """The backend node with a misdeed done to each solution or, if late, in a timing round."""

    def __init__(self, misdeed: Misdeed, *, late: bool = False):
        self.misdeed = misdeed
        self.late = late

    def prepare(self, cell, problem):
        workload = super().prepare(cell, problem)
        if self.late:
            return workload
        return replace(workload, solve=lambda field, y0, t: self.misdeed(workload.solve(field, y0, t)))


ORIGIN = Origin("file", __file__)
MISBEHAVING = {misdeed.__name__: Misbehaving(misdeed) for misdeed in MISDEEDS} | {
    f"{misdeed.__name__}_late": Misbehaving(misdeed, late=True) for misdeed in MISDEEDS
}


def register() -> None:
    with registering_from(ORIGIN):
        for name, backend in MISBEHAVING.items():
            BACKENDS.register(backend, name=name)


def misbehave_and_serve(connection, task, log) -> None:
    """A worker that knows these backends; a late one fails in the round FAILS_IN of its timing."""
    register()
    backend = MISBEHAVING.get(task.cell.backend)
    if backend and backend.late:
        sampled, rounds = worker._sampled, iter(range(ROUNDS))

        def sample_or_fail(*arguments):
            if next(rounds) == FAILS_IN:
                backend.misdeed(torch.ones(1))
            return sampled(*arguments)

        worker._sampled = sample_or_fail
    worker.serve(connection, task, log)


@pytest.fixture(autouse=True)
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("bench.worker.process.serve", misbehave_and_serve)
    register()
    yield
    BACKENDS.forget(ORIGIN)


def measured_around(store: Store, bad: Cell, measure: Measure = QUICK):
    """The trials of the failing cell, measured in a sweep between two good cells that must be unaffected."""
    assert run(store, sweep_of(CHEAP, bad, EXPENSIVE, measure=measure))
    for cell in (CHEAP, EXPENSIVE):
        trials = store.trials(Where(cell_key=[cell.key]))
        assert {"counts", "accuracy", "memory", "timing"} <= set(trials["kind"])
        assert set(trials["status"]) == {"ok"}
        samples = store.samples(Where(cell_key=[cell.key]))
        assert sorted(samples.query("kind == 'timing'")["round_index"]) == list(range(ROUNDS))
    assert list(store.runs()["state"]) == ["complete"]
    return store.trials(Where(cell_key=[bad.key]))


def the_row(store: Store, misdeed: Misdeed, measure: Measure = QUICK):
    """The only row of a cell that fails as soon as it is solved."""
    trials = measured_around(store, replace(CHEAP, backend=misdeed.__name__), measure)
    assert list(trials["kind"]) == ["counts"]
    return trials.iloc[0]


def children_of(row) -> list[int]:
    """The process ids that the worker's children have printed into the log."""
    children = [int(child) for child in re.findall(r"child (\d+);", row.log_tail)]
    assert len(children) == 4
    return children


def alive(processes: Sequence[int]) -> list[int]:
    found = []
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, 0)
            found.append(process)
    return found


@pytest.mark.exhaustive
def test_a_worker_that_raises_is_an_error_that_says_what_and_where(store) -> None:
    row = the_row(store, raises)
    assert row.status == "error"
    assert re.fullmatch(r"ValueError: the flux capacitor is empty \(misdeeds.py:\d+\)", row.reason)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("misdeed", "said"), [(raises, "Traceback (most"), (segfaults, "Fatal Python error: Segm")])
def test_show_prints_the_traceback_of_a_cell_that_raised_or_crashed(store, call, tmp_path, misdeed, said) -> None:
    bad = replace(CHEAP, backend=misdeed.__name__)
    assert run(store, sweep_of(bad, measure=QUICK))
    shown = call("show", bad.key, "--samples", "--db", str(tmp_path / "bench.db"))[1]
    assert said in shown
    assert re.search(rf'misdeeds.py", line \d+,? in {misdeed.__name__}', shown)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("misdeed", "how"),
    [
        (exits, "the worker ended with exit code 3"),
        (exits_politely, "the worker ended with exit code 4; it said: out of patience"),
        (segfaults, "the worker was killed by SIGSEGV"),
    ],
)
def test_a_worker_that_dies_has_crashed_and_its_row_says_how(store, misdeed, how) -> None:
    row = the_row(store, misdeed)
    assert row.status == "crashed"
    assert row.reason == how


@pytest.mark.exhaustive
@pytest.mark.parametrize("misdeed", [hangs, ignores_sigterm])
def test_a_worker_that_hangs_is_ended_at_the_timeout(store, misdeed) -> None:
    row = the_row(store, misdeed, QUICK.model_copy(update={"timeout_s": 6.0}))
    assert row.status == "timeout"
    assert "no answer within 6 s" in row.reason
    assert row.log_tail == ("still here\n" if misdeed is ignores_sigterm else "")


@pytest.mark.exhaustive
@pytest.mark.parametrize("misdeed", [allocates, allocates_objects])
def test_a_worker_that_allocates_without_end_is_out_of_memory_before_the_machine_is(store, misdeed) -> None:
    row = the_row(store, misdeed)
    assert row.status == "out_of_memory"
    assert row.reason


@pytest.mark.exhaustive
def test_a_solution_of_nan_is_non_finite(store) -> None:
    row = the_row(store, gives_nan)
    assert row.status == "non_finite"
    assert "smaller step" in row.reason


@pytest.mark.exhaustive
def test_a_cell_that_diverges_in_training_has_its_other_trials(store) -> None:
    bad = replace(CHEAP, problem="spiral_net", gradient="backprop", iterations=50, learning_rate=1e6, batch_size=4)
    trials = measured_around(store, bad).set_index("kind")
    assert trials.loc["training", "status"] in ("diverged", "non_finite")
    assert trials.loc["training", "reason"]
    assert set(trials.drop("training")["status"]) == {"ok"}


@pytest.mark.exhaustive
def test_a_worker_that_prints_megabytes_is_measured_and_the_end_of_its_log_kept(store) -> None:
    trials = measured_around(store, replace(CHEAP, backend="prints_megabytes"))
    assert set(trials["status"]) == {"ok"}
    for log in trials["log_tail"]:
        assert len(log) == 10_000
        assert log.endswith("x" * 100 + "the end\n")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("misdeed", "status"), [(forks, "ok"), (forks_and_exits, "crashed"), (forks_and_hangs, "timeout")]
)
def test_no_child_outlives_its_worker_however_the_worker_ends(store, misdeed, status) -> None:
    """Children in the worker's process group, outside it, and daemons; the worker returns, dies or is killed."""
    bad = replace(CHEAP, backend=misdeed.__name__)
    trials = measured_around(store, bad, QUICK.model_copy(update={"timeout_s": 6.0}))
    counts = trials.set_index("kind").loc["counts"]
    assert counts.status == status
    assert alive(children_of(counts)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("cell", "misdeed", "status"),
    [
        (CHEAP, raises, "error"),
        (CHEAP, hangs, "timeout"),
        (EXPENSIVE, raises, "error"),
        (EXPENSIVE, segfaults, "crashed"),
        (EXPENSIVE, allocates, "out_of_memory"),
    ],
)
def test_a_worker_that_fails_in_a_round_leaves_the_others_their_rounds(store, cell, misdeed, status) -> None:
    """Also where the failing cell is the control."""
    bad = replace(cell, backend=f"{misdeed.__name__}_late", rtol=1e-2 if cell == CHEAP else 1e-4)
    measure = QUICK.model_copy(update={"timeout_s": 8.0}) if misdeed is hangs else QUICK
    trials = measured_around(store, bad, measure).set_index("kind")
    assert set(trials.drop(["timing", "twin"], errors="ignore")["status"]) == {"ok"}
    assert set(trials.loc[["timing"], "status"]) == {status}
    samples = store.samples(Where(cell_key=[bad.key])).query("kind == 'timing'")
    assert sorted(samples["round_index"]) == list(range(FAILS_IN))
