"""The runner: isolated workers, interleaved rounds, failures as rows, a run that resumes."""

import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.measures.counts import count
from bench.plan.due import due_trials, recorded
from bench.problems import PROBLEMS
from bench.run.rounds import timed_in_rounds
from bench.run.run_trial import run_trial
from bench.run.runner import _run_of
from bench.worker.process import Worker
from bench.worker.task import Task
from results.read.where import Where
from results.records import Cell, TrialKind
from results.store import Store
from tests.support.small_runs import CELL, run, runner, sweep_of

BLOWS_UP = replace(CELL, problem="van_der_pol", solver="euler", horizon=20.0, rtol=None, atol=None, dt=0.5)
ENDLESS = replace(CELL, solver="euler", rtol=None, atol=None, dt=1e-7)


def task(cell: Cell, kind: TrialKind, timeout_s: float = 30.0) -> Task:
    return Task(cell=cell, kind=kind, timeout_s=timeout_s)


@pytest.mark.exhaustive
def test_a_cell_is_measured_once_in_every_kind(store):
    sweep = sweep_of(CELL)
    assert run(store, sweep)
    trials = store.trials(Where(cell_key=[CELL.key]))
    assert dict(zip(trials["kind"], trials["status"], strict=True)) == dict.fromkeys(
        ["counts", "accuracy", "memory", "timing", "twin"], "ok"
    )
    assert {"nfe_forward", "error", "peak_bytes", "first_call_s", "busy_s", "unstable"} <= set(
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
    trials = timed_in_rounds([task(cell, "timing") for cell in cells], 4, lambda _: None)
    for round_index in range(4):
        positions = [trial.samples["forward_s"][round_index].position for trial in trials]
        assert sorted(positions) == [0, 1, 2]
    assert all(sample.value > 0 for trial in trials for sample in trial.samples["forward_s"])


def test_a_slow_cell_has_at_least_two_rounds_and_leaves_the_rest_to_the_others():
    slow = replace(CELL, solver="euler", rtol=None, atol=None, dt=0.5 / 8000)
    trials = timed_in_rounds([task(cell, "timing") for cell in (CELL, slow)], 12, lambda _: None, sampling_s=0.5)
    quick, slow = ([sample.round_index for sample in trial.samples["forward_s"]] for trial in trials)
    assert quick == list(range(12))
    assert 2 <= len(slow) < 12
    assert slow == quick[: len(slow)]


def test_a_gradient_cell_times_its_solve_and_its_gradient(store):
    [trial] = timed_in_rounds([task(replace(CELL, gradient="adjoint"), "timing")], 2, lambda _: None)
    assert {name: len(samples) for name, samples in trial.samples.items()} == {"forward_s": 2, "gradient_s": 2}


def test_a_trial_that_takes_too_long_is_ended():
    trial = run_trial(task(ENDLESS, "counts", timeout_s=1.0)).trial
    assert trial.status == "timeout"
    assert 1.0 <= trial.duration_s < 10.0


def test_a_worker_that_is_killed_is_a_crash_that_names_the_signal():
    with Worker(task(ENDLESS, "counts")) as worker:
        os.kill(worker.pid, signal.SIGSEGV)
        with pytest.raises(TrialFailure, match="crashed: the worker was killed by SIGSEGV"):
            worker.outcome()


def test_an_ended_worker_leaves_no_process():
    worker = Worker(task(ENDLESS, "counts"))
    worker.end()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_trials_are_numbered_in_the_order_of_recording(store):
    assert run(store, sweep_of(CELL, replace(CELL, device="cuda:99")))
    trials = store.trials().sort_values("started_at")
    assert sorted(trials["position"]) == list(range(6))
    assert trials.set_index("kind").loc["timing", "position"] > trials.set_index("kind").loc["memory", "position"]


def print_and_serve(connection, asked, log) -> None:
    """A worker whose library prints while it loads, to the file descriptor and through Python."""
    from bench.worker import isolated as worker

    redirect = worker._redirect_output

    def redirect_and_print(path):
        redirect(path)
        os.write(2, b"x" * 50_000)
        print(" end")

    worker._redirect_output = redirect_and_print
    worker.serve(connection, asked, log)


@pytest.mark.exhaustive
def test_the_output_of_a_worker_is_kept_whether_it_failed_or_not(monkeypatch):
    monkeypatch.setattr("bench.worker.process.serve", print_and_serve)
    alone = run_trial(task(CELL, "counts")).trial
    assert (alone.status, alone.log_tail[-6:]) == ("ok", "x end\n")
    assert len(alone.log_tail) == 10_000
    [timing] = timed_in_rounds([task(CELL, "timing")], 1, lambda _: None)
    assert (timing.status, timing.log_tail[-6:]) == ("ok", "x end\n")
    late = run_trial(task(ENDLESS, "counts", timeout_s=1.0)).trial
    assert (late.status, late.log_tail[-6:]) == ("timeout", "x end\n")


def test_a_block_that_another_run_measures_is_left_to_it(store):
    other = _run_of(sweep_of(CELL))
    elsewhere = replace(CELL, seed=1)
    store.begin(other, sweep_of(CELL, elsewhere).planned)
    store.lease(other, longest_s=30.0).take([CELL.key])
    ours = runner(store, sweep_of(CELL, replace(CELL, solver="bosh3"), elsewhere))
    assert ours.run()
    assert set(store.trials()["cell_key"]) == {elsewhere.key}
    assert sum(ours.left.values()) == 8  # two cells with four kinds each
    assert [holder.pid for holder in ours.left] == [os.getpid()]


def test_what_another_run_measured_meanwhile_is_not_measured_again(store, monkeypatch):
    sweep = sweep_of(CELL)
    planned = due_trials(sweep, recorded(store, sweep.cells))
    assert run(store, sweep)
    monkeypatch.setattr("bench.run.runner.due_trials", lambda *_: planned)
    late = runner(store, sweep)
    assert late.run()
    assert late.measured == 0


def test_a_run_continues_without_its_database(store, monkeypatch, tmp_path):
    monkeypatch.setattr("results.engine.database.PATIENCE_S", 0.1)
    monkeypatch.setattr("results.engine.database.IMPATIENCE_S", 0.05)
    sweep = sweep_of(CELL)
    with closing(sqlite3.connect(tmp_path / "bench.db")) as other:
        begin = Store.begin

        def begin_and_lose(self: Store, *arguments: object) -> None:
            begin(self, *arguments)
            self.database.be_patient(False)
            other.execute("begin immediate")

        monkeypatch.setattr(Store, "begin", begin_and_lose)
        assert run(store, sweep)
        assert len(store.spooled.files) == 5
        assert store.trials().empty
    monkeypatch.undo()
    with Store.open(str(tmp_path / "bench.db"), create=True) as again:
        assert len(again.trials()) == 5
        assert due_trials(sweep, recorded(again, sweep.cells)) == []


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (lambda y: y[-1:], r"\(1, 1, 2\) in torch.float64"),
        (lambda y: y.transpose(0, 1), r"\(1, 2, 2\) in torch.float64"),
        (lambda y: y.float(), r"\(2, 1, 2\) in torch.float32"),
        (lambda y: list(y), "list"),
    ],
    ids=["the last state", "transposed", "float32", "a list"],
)
def test_states_of_another_shape_or_dtype_than_due_are_no_solution(wrong, seen):
    cell = replace(CELL, dtype="float64")
    workload = BACKENDS["node"].prepare(cell, PROBLEMS[cell.problem])
    right = workload.solve
    with pytest.raises(
        TrialFailure, match=rf"the solve gives {seen} where states \(2, 1, 2\) in torch.float64 are due"
    ):
        count(cell, replace(workload, solve=lambda *arguments: wrong(right(*arguments))))
