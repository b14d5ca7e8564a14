"""The estimate of a run's duration, from the durations of similar trials."""

import math
from dataclasses import replace

import pytest

from bench.plan.estimate import Costs, estimated_s
from bench.plan.protocol import MOST_TOGETHER, Pending
from bench.source import source_of
from bench.sweep.measure import Measure
from results.read.costs import costs
from results.read.where import Where
from results.records import Cell, NoiseFloor, Planned, Sample, Trial
from tests.support.stocked import HERE, a_run

CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)
FIXED = {"rtol": None, "atol": None, "dt": 0.1}
TRAINED = replace(CELL, gradient="backprop", iterations=100)
MEASURE = Measure(processes=2, max_processes=4, rounds=10)


def timed(cell: Cell, seconds: float, *, processes: int = 2, rounds: int = 5) -> list[Trial]:
    """Timing trials that took `seconds` each."""
    samples = {"forward_s": [Sample(i, 0, 1e-3) for i in range(rounds)]}
    return [
        Trial(cell_key=cell.key, kind="timing", process_index=index, duration_s=seconds, samples=samples)
        for index in range(processes)
    ]


def alone(cell: Cell, kind, seconds: float, **changes) -> Trial:
    return Trial(cell_key=cell.key, kind=kind, duration_s=seconds, **changes)


@pytest.fixture
def costs_of(store):
    """A function that records trials in this environment and gives the costs that follow from them."""

    def measured(cells, trials, floors=()) -> Costs:
        store.begin(a_run("first"), [Planned("s", cell) for cell in cells])
        for trial in trials:
            store.record("first", trial)
        store.record_floors("first", floors)
        return Costs.of(costs(store.database, HERE.fingerprint), store.noise_floors())

    return measured


def test_a_trial_is_expected_to_take_as_long_as_the_most_similar_trials(costs_of):
    rk4, theirs = replace(CELL, solver="rk4", **FIXED), replace(CELL, backend="torchdiffeq")
    known = costs_of(
        [CELL, rk4, theirs], [alone(cell, "memory", s) for cell, s in ((CELL, 1.0), (rk4, 3.0), (theirs, 8.0))]
    )
    assert known.unit_s(replace(CELL, rtol=1e-3), "memory") == 1.0
    assert known.unit_s(replace(CELL, solver="bosh3"), "memory") == 2.0  # of this library and mode
    assert known.unit_s(replace(CELL, gradient="adjoint"), "memory") == 4.0  # of this problem
    assert known.unit_s(replace(CELL, problem="lorenz"), "memory") == 2.0  # of this library and mode
    assert known.unit_s(replace(CELL, problem="lorenz", device="cuda"), "memory") == 4.0  # of all there is


def test_the_estimate_of_training_is_proportional_to_its_iterations(costs_of):
    known = costs_of([TRAINED], [alone(TRAINED, "training", 5.0)])
    assert estimated_s([Pending(replace(TRAINED, iterations=300), "training")], MEASURE, known) == pytest.approx(15.0)


def test_the_estimate_of_timing_counts_rounds_processes_and_the_twin(costs_of):
    """A round takes 0.2 s: 10 rounds in as many processes as the noise needs, of cells, control and twin."""
    twin = NoiseFloor(CELL.key, "forward_s", 1.0, math.exp(-0.06), math.exp(0.06), pairs=8)
    known = costs_of([CELL], timed(CELL, 1.0, processes=3), [twin])
    assert known.processes(MEASURE) == pytest.approx(8 * (0.06 / 0.03) ** 2 / 10)
    due = [Pending(replace(CELL, rtol=rtol), "timing") for rtol in (1e-3, 1e-4)]
    assert estimated_s(due, MEASURE, known) == pytest.approx(0.2 * 10 * 3.2 * (2 + 2))
    few = MEASURE.model_copy(update={"max_processes": 2})
    assert estimated_s(due, few, known) == pytest.approx(0.2 * 10 * 2 * (2 + 2))


def test_the_estimate_of_a_group_is_at_most_max_s(costs_of):
    known = costs_of([CELL], timed(CELL, 100.0))
    due = [Pending(replace(CELL, rtol=10.0**-i), "timing") for i in range(MOST_TOGETHER + 1)]
    assert estimated_s(due, MEASURE, known) == 2 * MEASURE.max_s


def test_trials_that_never_started_or_were_interrupted_do_not_count(costs_of):
    unlike = [alone(CELL, "counts", 0.0, status="unsupported"), alone(CELL, "memory", 9.0, status="interrupted")]
    known = costs_of([CELL], [*unlike, alone(CELL, "accuracy", 1.0)])
    assert math.isnan(known.unit_s(CELL, "counts"))
    assert math.isnan(estimated_s([Pending(CELL, "memory")], MEASURE, known))
    assert estimated_s([Pending(CELL, "accuracy")], MEASURE, known) == 1.0


def test_trials_of_another_machine_do_not_count(costs_of, store):
    costs_of([CELL], [alone(CELL, "memory", 1.0)])
    elsewhere = Costs.of(costs(store.database, "another"), store.noise_floors(Where(fingerprint="another")))
    assert math.isnan(elsewhere.unit_s(CELL, "memory"))
    assert estimated_s([], MEASURE, elsewhere) == 0.0


@pytest.mark.parametrize(("scale", "duration"), [(1, "2 min"), (35, "1 h 10 min")])
def test_plan_says_how_long_what_is_left_takes(call, store, tmp_path, monkeypatch, scale, duration):
    from bench.machine.environment import environment

    cells = [CELL, replace(CELL, rtol=1e-4)]
    everything = [alone(CELL, kind, 20.0 * scale) for kind in ("counts", "accuracy", "memory")]
    everything += timed(CELL, 10.0 * scale)
    settled = [
        replace(trial, metrics={"unstable": 0.0}, source=source_of(CELL, trial.kind).key) for trial in everything
    ]
    sources = [source_of(CELL, trial.kind) for trial in everything]
    store.begin(replace(a_run("here"), environment=environment()), [Planned("s", cell) for cell in cells], sources)
    for trial in settled:
        store.record("here", trial)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(
        "[measure]\nprocesses = 2\nmax_processes = 2\nrounds = 5\nmax_s = 6e5\n"
        '[[grid]]\nproblem = "spiral"\nbackend = "node"\nsolver = "dopri5"\nhorizon = 1.5\nn_outputs = 2\n'
        "rtol = [1e-5, 1e-4]\natol = 1e-7\n"
    )
    code, out, _ = call("plan", "two.toml", "--db", store.database.url.database)
    assert code == 0
    assert "2 cells, 1 done" in out
    # One cell is left: three trials, and two timing processes of the cell, the control and its twin.
    assert out.splitlines()[-1].startswith(f"about {duration} to measure what is left")


def test_trials_that_measure_no_time_are_estimated_side_by_side(costs_of):
    known = costs_of([CELL], [alone(CELL, "counts", 2.0)])
    due = [Pending(replace(CELL, rtol=10.0**-i), "counts") for i in range(4)]
    assert estimated_s(due, MEASURE, known) == 8.0
    assert estimated_s(due, MEASURE, known, cores=2) == 4.0
    assert estimated_s([Pending(replace(CELL, threads=2), "counts")], MEASURE, known, cores=2) == 2.0
