"""Live bytes: as many as theory says, with either tracker, and the same in every process."""

from dataclasses import replace

import psutil
import pytest
import torch
from torch import nn

from bench.backends import BACKENDS
from bench.measures import memory as of_memory
from bench.measures.memory import memory, peak_bytes
from bench.problems import PROBLEMS, Problem
from bench.problems.base import from_start
from bench.run.run_trial import run_trial
from bench.worker.task import Task
from results.records import Cell

N = 100_000
STATE = 4 * N  # bytes of a state in float32
NODES = 5_000  # at most, the bytes of a step's graph without its tensors
CELL = Cell(
    problem="decay", backend="node", solver="euler", horizon=1.0, n_outputs=2, dt=0.1, gradient="backprop",
)  # fmt: skip
NET = Cell(
    problem="mlp_64", backend="node", solver="dopri5", horizon=2.0, n_outputs=2, rtol=1e-5, atol=1e-7, batch_size=64,
    gradient="backprop",
)  # fmt: skip


class Decay(nn.Module):
    """y' = a y: a step of backprop keeps the y that it began with, and nothing else that is large."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-1.0))

    def forward(self, t, y):
        return self.a * y


DECAY = Problem(
    name="decay", equation="y' = a y", source="", horizon=1.0, n_outputs=2, make=from_start(Decay, tuple([1.0] * N))
)  # fmt: skip


def measured(cell: Cell, problem: Problem = DECAY) -> dict[str, float]:
    return memory(cell, BACKENDS[cell.backend].prepare(cell, problem))


@pytest.fixture(params=["memray", "torch.profiler"])
def tracker(request, monkeypatch) -> str:
    if request.param == "torch.profiler":
        monkeypatch.setattr(of_memory, "find_spec", lambda name: None)  # as if memray were not installed
    return request.param


@pytest.mark.parametrize("steps", [4, 16])
def test_backprop_keeps_one_state_per_step(tracker, steps):
    """The states after each step but the last, and both outputs side by side for the loss; y0 was there before."""
    saved = measured(replace(CELL, dt=1 / steps))["saved_bytes"]
    kept = (steps - 1 + 2) * STATE
    assert kept <= saved <= kept + steps * NODES


def test_a_further_step_of_backprop_costs_exactly_its_state(monkeypatch):
    """Exact for tensors, which are all that torch.profiler sees."""
    monkeypatch.setattr(of_memory, "find_spec", lambda name: None)
    few, many = (measured(replace(CELL, dt=1 / steps)) for steps in (4, 64))
    for name in ("peak_bytes", "saved_bytes"):
        assert many[name] - few[name] == 60 * STATE


def test_the_adjoint_keeps_the_outputs_however_many_steps_there_are(tracker):
    few, many = (measured(replace(CELL, gradient="adjoint", dt=dt)) for dt in (1 / 4, 1 / 64))
    assert 2 * STATE <= few["saved_bytes"] <= 4 * STATE
    assert abs(many["saved_bytes"] - few["saved_bytes"]) < NODES
    assert abs(many["peak_bytes"] - few["peak_bytes"]) < NODES


def test_both_trackers_find_the_same_tensors(monkeypatch):
    by_memray = measured(CELL)
    monkeypatch.setattr(of_memory, "find_spec", lambda name: None)
    by_profiler = measured(CELL)
    for name in ("peak_bytes", "saved_bytes"):
        assert 0 <= by_memray[name] - by_profiler[name] < 10 * NODES  # the graph's nodes are no tensors


def test_the_peak_is_what_is_live_at_once(tracker):
    def allocate() -> None:
        first = torch.ones(N)
        second = first + 1
        del first
        third = second + 1
        del second, third

    peaks = {peak_bytes(allocate, "cpu") for _ in range(5)}
    assert len(peaks) == 1
    assert 2 * STATE <= peaks.pop() < 2 * STATE + 10_000


def test_a_storage_counts_once_however_many_tensors_share_it(tracker):
    def shared() -> list[torch.Tensor]:
        one = torch.ones(N)
        return [one, one[1:], one.view(10, -1).T, one.detach(), one.expand(3, -1)]

    shared()
    assert STATE <= of_memory._allocated(shared, "cpu").left < STATE + 10_000


def test_memory_that_a_call_frees_does_not_count_as_saved(tracker):
    def freed() -> torch.Tensor:
        return (torch.ones(N) + 1).sum()

    freed()
    assert of_memory._allocated(freed, "cpu").left < 10_000


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", ["backprop", "adjoint", "none"])
def test_twenty_fresh_processes_measure_the_same_bytes(gradient):
    task = Task(cell=replace(NET, gradient=gradient), kind="memory", timeout_s=60.0)
    trials = [run_trial(task).trial for _ in range(20)]
    assert {trial.status for trial in trials} == {"ok"}
    assert len({trial.metrics["peak_bytes"] for trial in trials}) == 1
    assert len({trial.metrics.get("saved_bytes") for trial in trials}) == 1


def test_a_solve_without_a_gradient_saves_nothing_and_needs_less():
    forward, backprop = (measured(replace(CELL, gradient=mode)) for mode in ("none", "backprop"))
    assert "saved_bytes" not in forward
    assert forward["peak_bytes"] < 0.5 * backprop["peak_bytes"]


def test_the_peak_grows_with_the_steps_of_backprop_and_not_with_those_of_the_adjoint():
    def peak(gradient: str, horizon: float) -> float:
        return measured(replace(NET, gradient=gradient, horizon=horizon), PROBLEMS["mlp_64"])["peak_bytes"]

    assert peak("backprop", 8.0) > 1.5 * peak("backprop", 1.0)
    assert peak("adjoint", 8.0) < 1.2 * peak("adjoint", 1.0)


def test_the_peak_resident_set_is_that_of_the_whole_process():
    trial = run_trial(Task(cell=NET, kind="memory", timeout_s=60.0)).trial
    torch_alone = 50e6  # no process that has loaded torch is smaller
    assert torch_alone + trial.metrics["peak_bytes"] < trial.metrics["peak_rss_bytes"] < psutil.virtual_memory().total
