"""The runner: isolated workers, interleaved rounds, failures as rows, a run that resumes."""

import os
import signal
from dataclasses import replace

import pytest
from rich.console import Console

from bench.failure import TrialFailure
from bench.process import Worker
from bench.progress import Progress
from bench.protocol import Pending
from bench.rounds import timed_in_rounds
from bench.runner import Runner, measured_alone
from bench.sweep import Measure, Sweep
from results.records import Cell, Planned
from results.store import Store
from results.where import Where

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=0.5, n_outputs=2, rtol=1e-3, atol=1e-5)
BLOWS_UP = replace(CELL, problem="van_der_pol", solver="euler", horizon=20.0, rtol=None, atol=None, dt=0.5)
ENDLESS = replace(CELL, solver="euler", rtol=None, atol=None, dt=1e-7)
MEASURE = Measure(processes=1, rounds=3, timeout_s=30.0)


def sweep_of(*cells: Cell, measure: Measure = MEASURE) -> Sweep:
    return Sweep("test", "a test", "", measure, tuple(Planned("adaptive", cell) for cell in cells))


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        yield store


def run(store: Store, sweep: Sweep) -> bool:
    return Runner(store, sweep, Progress(Console(stderr=True, quiet=True))).run()


def test_a_cell_is_measured_in_every_kind_and_not_again(store):
    sweep = sweep_of(CELL)
    assert run(store, sweep)
    trials = store.trials(Where(cell_key=[CELL.key]))
    assert dict(zip(trials["kind"], trials["status"], strict=True)) == dict.fromkeys(
        ["counts", "accuracy", "memory", "timing"], "ok"
    )
    assert {"nfe_forward", "error", "peak_bytes", "first_call_s"} <= set(
        store.metrics(Where(cell_key=[CELL.key]))["name"]
    )
    assert run(store, sweep)
    assert len(store.trials(Where(cell_key=[CELL.key]))) == len(trials)
    assert list(store.runs()["state"]) == ["complete", "complete"]


def test_a_failing_cell_becomes_a_row_and_the_others_are_measured(store):
    assert run(store, sweep_of(BLOWS_UP, CELL))
    failed = store.trials(Where(cell_key=[BLOWS_UP.key]))
    assert list(failed["kind"]) == ["counts"]
    assert list(failed["status"]) == ["non_finite"]
    assert "smaller step" in failed["reason"].iloc[0]
    assert set(store.trials(Where(cell_key=[CELL.key]))["status"]) == {"ok"}


def test_what_cannot_be_measured_here_is_a_row_with_its_reason(store):
    nowhere = replace(CELL, device="cuda:99")
    unknown = replace(CELL, backend="torchdiffeq", solver="rk4", rtol=None, atol=None, dt=0.1)
    assert run(store, sweep_of(nowhere, unknown))
    statuses = {
        row.cell_key: (row.status, row.reason)
        for row in store.trials(Where(cell_key=[nowhere.key, unknown.key])).itertuples()
    }
    assert statuses[nowhere.key][0] == "unavailable"
    assert statuses[unknown.key][0] == "unsupported"
    assert "3/8 rule" in statuses[unknown.key][1]


def test_each_round_times_every_cell_once(store):
    cells = [CELL, replace(CELL, solver="bosh3"), replace(CELL, backend="torchdiffeq")]
    trials = timed_in_rounds([Pending(cell, "timing") for cell in cells], 4, 30.0, lambda _: None)
    for round_index in range(4):
        positions = [trial.samples["forward_s"][round_index].position for trial in trials]
        assert sorted(positions) == [0, 1, 2]
    assert all(sample.value > 0 for trial in trials for sample in trial.samples["forward_s"])


def test_a_gradient_cell_times_its_solve_and_its_gradient(store):
    [trial] = timed_in_rounds([Pending(replace(CELL, gradient="adjoint"), "timing")], 2, 30.0, lambda _: None)
    assert {name: len(samples) for name, samples in trial.samples.items()} == {"forward_s": 2, "gradient_s": 2}


def test_a_trial_that_takes_too_long_is_ended():
    trial = measured_alone(Pending(ENDLESS, "counts"), timeout_s=1.0)
    assert trial.status == "timeout"
    assert 1.0 <= trial.duration_s < 10.0


def test_a_worker_that_is_killed_is_a_crash_that_names_the_signal():
    with Worker(ENDLESS, "counts", 30.0) as worker:
        os.kill(worker.pid, signal.SIGSEGV)
        with pytest.raises(TrialFailure, match="crashed: the worker was killed by SIGSEGV"):
            worker.outcome()


def test_an_ended_worker_leaves_no_process():
    worker = Worker(ENDLESS, "counts", 30.0)
    worker.end()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_an_interrupt_leaves_rows_that_the_next_run_measures_anew(store, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bench.runner.timed_in_rounds", interrupted)
        assert not run(store, sweep_of(CELL))
    before = store.trials(Where(cell_key=[CELL.key])).set_index("kind")["status"]
    assert before["timing"] == "interrupted"
    assert run(store, sweep_of(CELL))
    after = store.trials(Where(cell_key=[CELL.key])).set_index("kind")["status"]
    assert set(after) == {"ok"}
    assert list(store.runs()["state"]) == ["interrupted", "complete"]
