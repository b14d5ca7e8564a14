"""Trials that measure no time: they run side by side, and none is worse off for it."""

import os
from dataclasses import replace

import psutil
import pytest

from bench.machine.cores import chosen, disjoint
from bench.run.run_trial import run_trials
from bench.worker import isolated, process
from bench.worker.entrance import serve
from bench.worker.task import Task
from results.read.where import Where
from tests.support.small_runs import CELL, run, sweep_of

ENDLESS = replace(CELL, solver="euler", rtol=None, atol=None, dt=1e-7)
two_cores = pytest.mark.skipif(len(disjoint(1, 2)) < 2, reason="this process may use one core only")


def crashes_in_company(connection, task, log) -> None:
    if task.kind == "memory" and task.cores != chosen(1):
        isolated._measure = lambda _: os._exit(3)
    serve(connection, task, log)


def test_workers_side_by_side_share_no_core() -> None:
    sets = disjoint(1, most=8)
    assert 1 <= len(sets) <= 8
    assert sets[0] == chosen(1)
    every = [core for cores in sets for core in cores]
    assert len(set(every)) == len(every)
    assert len(disjoint(10_000, most=8)) == 1


@pytest.mark.exhaustive
def test_results_come_as_trials_end_and_a_late_trial_is_ended() -> None:
    late, quick = (Task(cell=cell, kind="counts", timeout_s=6.0) for cell in (ENDLESS, CELL))
    first, second = run_trials([late, quick])
    assert (first.task, first.trial.status) == (quick, "ok")
    assert (second.task, second.trial.status) == (late, "timeout")
    assert first.trial.duration_s < second.trial.duration_s
    assert second.trial.duration_s >= 6.0


def test_an_interrupt_as_a_trial_starts_ends_those_that_run(monkeypatch) -> None:
    pids = []

    def interrupted_at_the_second(_: Task) -> None:
        if pids:
            raise KeyboardInterrupt

    class Recorded(process.Worker):
        def __init__(self, task: Task) -> None:
            super().__init__(task)
            pids.append(self.pid)

    monkeypatch.setattr(process, "Worker", Recorded)
    with pytest.raises(KeyboardInterrupt):
        list(run_trials([Task(cell=ENDLESS, kind="counts", timeout_s=60.0)] * 2, interrupted_at_the_second))
    assert len(pids) == 1
    assert not psutil.pid_exists(pids[0])


@two_cores
def test_what_fails_only_beside_others_is_no_failure(store, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(process, "serve", crashes_in_company)
        assert run(store, sweep_of(CELL, replace(CELL, solver="bosh3")))
    trials = store.trials(Where(kind=["memory"]))
    assert list(trials["status"]) == ["ok", "ok"]
    assert trials["cell_key"].nunique() == 2
