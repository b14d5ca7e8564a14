"""The end of a cell's timing: the stopping rule alone, on synthetic samples of known seconds and noise."""

import random
from dataclasses import replace

import pytest

from bench.run.measured_so_far import MeasuredSoFar
from bench.run.timing import Group, SampleTable, waves
from bench.sweep.measure import Measure
from bench.worker.task import Task
from results.records import Cell, Sample, Trial

CONTROL = Cell(problem="spiral", backend="node", solver="euler", horizon=1.5, n_outputs=2, dt=0.1)
QUIET, NOISY, SLOW = (replace(CONTROL, solver=solver) for solver in ("midpoint", "heun", "rk4"))
SECONDS = {CONTROL: 1.0, QUIET: 2.0, NOISY: 3.0, SLOW: 400.0}
NOISE = {CONTROL: 0.01, QUIET: 0.01, NOISY: 0.3, SLOW: 0.01}
MEASURE = Measure(processes=3, max_processes=6, rounds=8)


class Machine:
    """A stub of `timed_in_rounds`: it makes samples without workers and keeps the tasks of each wave."""

    def __init__(self, failing: frozenset[tuple[Cell, str, int]] = frozenset()) -> None:
        self.waves: list[list[Task]] = []
        self.failing = failing
        self._random = random.Random(0)

    def __call__(self, tasks: list[Task], rounds: int, before, *, sampling_s: float, until: float) -> list[Trial]:
        self.waves.append(list(tasks))
        return [self._trial(task, rounds) for task in tasks]

    def _trial(self, task: Task, rounds: int) -> Trial:
        cell = task.cell
        seconds = [SECONDS[cell] * self._random.lognormvariate(0, NOISE[cell]) for _ in range(rounds)]
        status = "crashed" if (cell, task.kind, len(self.waves)) in self.failing else "ok"
        samples = {"forward_s": [Sample(index, 0, value) for index, value in enumerate(seconds)]}
        return Trial(
            cell_key=cell.key, kind=task.kind, process_index=task.process_index, status=status,
            samples=samples if status == "ok" else {},
        )  # fmt: skip


def timed(monkeypatch, *cells: Cell, measure: Measure = MEASURE, errors=None, failing=(), first=0):
    machine = Machine(frozenset(failing))
    monkeypatch.setattr("bench.run.timing.timed_in_rounds", machine)
    group = Group(
        cells=cells, control=CONTROL, errors=errors or {}, measure=measure, first_process=first, samples=SampleTable()
    )
    found = list(waves(group, lambda cell, kind, index: Task(
        cell=cell, kind=kind, process_index=index, timeout_s=1.0
    ), lambda _: None))  # fmt: skip
    return machine, found


def trials_of(found: list[list[Trial]], cell: Cell, kind: str = "timing") -> list[Trial]:
    return [trial for wave in found for trial in wave if (trial.cell_key, trial.kind) == (cell.key, kind)]


def test_each_wave_times_the_control_and_its_twin_beside_the_cells(monkeypatch):
    machine, found = timed(monkeypatch, CONTROL, QUIET)
    for tasks in machine.waves:
        asked = {(task.cell, task.kind) for task in tasks}
        assert asked == {(CONTROL, "timing"), (CONTROL, "twin"), (QUIET, "timing")}
    indexes = [[trial.process_index for trial in wave] for wave in found]
    assert indexes == [[wave] * 3 for wave in range(len(found))]


def test_a_cell_is_done_when_its_interval_is_narrow_after_the_least_number_of_processes(monkeypatch):
    _, found = timed(monkeypatch, CONTROL, QUIET)
    assert [trial.metrics for trial in trials_of(found, QUIET)] == [{}, {}, {"unstable": 0.0}]
    assert [trial.metrics for trial in trials_of(found, CONTROL)] == [{}, {}, {"unstable": 0.0}]
    assert all(trial.metrics == {} for trial in trials_of(found, CONTROL, "twin"))


def test_a_cell_whose_interval_stays_wide_is_timed_to_the_most_processes_and_marked_unstable(monkeypatch):
    machine, found = timed(monkeypatch, CONTROL, QUIET, NOISY)
    assert len(machine.waves) == 6
    assert [trial.metrics for trial in trials_of(found, NOISY)] == [*[{}] * 5, {"unstable": 1.0}]
    assert len(trials_of(found, QUIET)) == 3
    assert len(trials_of(found, CONTROL)) == 6


def test_a_wider_precision_takes_fewer_processes(monkeypatch):
    machine, found = timed(monkeypatch, NOISY, measure=MEASURE.model_copy(update={"precision": 0.99}))
    assert len(machine.waves) == 3
    assert trials_of(found, NOISY)[-1].metrics == {"unstable": 0.0}


def test_after_max_s_no_further_wave_starts(monkeypatch):
    clock = iter(range(0, 1_000, 100))
    monkeypatch.setattr("bench.run.timing.time.monotonic", lambda: float(next(clock)))
    _, found = timed(monkeypatch, CONTROL, NOISY, measure=MEASURE.model_copy(update={"max_s": 150.0}))
    assert [trial.metrics for trial in trials_of(found, NOISY)] == [{}, {"unstable": 1.0}]
    assert [trial.metrics for trial in trials_of(found, CONTROL)] == [{}, {"unstable": 1.0}]


def test_a_cell_far_slower_than_one_that_is_no_less_exact_is_cut(monkeypatch):
    _, found = timed(monkeypatch, CONTROL, QUIET, SLOW, errors={CONTROL: 1e-1, QUIET: 1e-3, SLOW: 1e-2})
    (trial,) = trials_of(found, SLOW)
    assert trial.metrics["unstable"] == 1.0
    assert trial.metrics["cut_ratio"] == pytest.approx(200, rel=0.02)
    assert len(trials_of(found, QUIET)) == 3


def test_a_slow_cell_that_is_more_exact_than_all_others_is_not_cut(monkeypatch):
    _, found = timed(monkeypatch, CONTROL, QUIET, SLOW, errors={CONTROL: 1e-1, QUIET: 1e-3, SLOW: 1e-9})
    assert [trial.metrics for trial in trials_of(found, SLOW)] == [{}, {}, {"unstable": 0.0}]


def test_a_slow_cell_that_is_more_exact_than_the_goal_is_cut(monkeypatch, store):
    known = MeasuredSoFar(store, [QUIET, SLOW], exact_enough={QUIET: 1e-3, SLOW: 1e-3})
    for cell, error in ((QUIET, 1e-4), (SLOW, 1e-9)):
        known.add(Trial(cell_key=cell.key, kind="accuracy", metrics={"error": error}))
    _, found = timed(monkeypatch, CONTROL, QUIET, SLOW, errors=known.errors())
    assert len(trials_of(found, SLOW)) == 1


def test_a_cell_whose_error_is_not_known_is_not_cut(monkeypatch):
    _, found = timed(monkeypatch, CONTROL, SLOW, errors={CONTROL: 1e-1})
    assert len(trials_of(found, SLOW)) == 3


def test_a_failed_cell_is_timed_no_further_and_the_others_are(monkeypatch):
    machine, found = timed(monkeypatch, CONTROL, QUIET, NOISY, failing=[(QUIET, "timing", 2)])
    assert [trial.status for trial in trials_of(found, QUIET)] == ["ok", "crashed"]
    assert trials_of(found, QUIET)[-1].metrics == {}
    assert len(machine.waves) == 6


@pytest.mark.parametrize("kind", ["timing", "twin"])
def test_nothing_is_timed_beside_a_control_that_has_failed(monkeypatch, kind):
    machine, found = timed(monkeypatch, CONTROL, QUIET, failing=[(CONTROL, kind, 1)])
    assert len(machine.waves) == 1
    assert all("unstable" not in trial.metrics for trial in found[0])


def test_processes_are_numbered_after_those_of_earlier_runs(monkeypatch):
    _, found = timed(monkeypatch, QUIET, first=7)
    assert [trial.process_index for trial in trials_of(found, QUIET)] == [7, 8, 9]


def test_the_twins_ratio_is_the_noise_floor_of_each_clock(monkeypatch):
    machine, taken = Machine(), SampleTable()
    task = Task(cell=CONTROL, kind="timing", timeout_s=1.0)
    for each in machine([task, replace(task, kind="twin")], 8, None, sampling_s=1.0, until=0.0):
        taken.add(each)
    ((name, ratio),) = taken.floors(CONTROL).items()
    assert name == "forward_s"
    assert ratio.pairs == 8
    assert ratio.low <= 1 <= ratio.high
