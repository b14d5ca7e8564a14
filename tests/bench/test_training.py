"""Training: the metrics and curves, the optimisers, and the trained model solved by other solvers."""

import itertools
import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.measures import stopwatch, training
from bench.measures.counts import count
from bench.measures.evaluation import evaluated, judged
from bench.measures.optimisers import OPTIMISERS, REFUSED, optimiser_of
from bench.measures.training import spaced, train
from bench.problems import PROBLEMS, Recipe
from bench.solve_spec import SolveSpec, solve_specs
from bench.sweep.axes import checked, impossible
from bench.sweep.file import load_sweep
from results.records import Cell

CELL = Cell(
    problem="spiral_net", backend="node", solver="euler", horizon=PROBLEMS["spiral_net"].horizon, n_outputs=10,
    dt=0.025, gradient="backprop", batch_size=20, iterations=4,
)  # fmt: skip
DOPRI5 = {"solver": "dopri5", "dt": None, "rtol": 1e-4, "atol": 1e-6}
NAMED = {
    "problem": "spiral_net", "solver": "euler", "dt": 0.025, "gradient": "backprop", "iterations": 3,
    "horizon": CELL.horizon, "n_outputs": CELL.n_outputs,
}  # fmt: skip
BOTH = pytest.mark.parametrize("backend", BACKENDS)


def prepared(cell: Cell):
    return BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem])


def trained(cell: Cell):
    return train(cell, prepared(cell))


@BOTH
def test_training_lowers_the_loss_and_counts_calls_before_and_after(backend):
    metrics, curves = trained(replace(CELL, backend=backend, iterations=60, **DOPRI5))
    assert metrics["final_loss"] < 0.5 * metrics["initial_loss"]
    assert metrics["nfe_start"] >= 8 <= metrics["nfe_end"]
    assert len(curves["loss"].x) == len(curves["loss_seconds"].x) == 60
    assert curves["loss_seconds"].x[-1] == metrics["train_s"]
    assert len(curves["trajectory_true"].x) == len(curves["trajectory_learned"].y) == 334


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", ["backprop", "adjoint"])
def test_calls_forwards_calls_backwards_and_products_are_counted_in_twenty_iterations(gradient):
    cell = replace(CELL, iterations=50, gradient=gradient)
    metrics, curves = trained(cell)
    counts = count(cell, prepared(cell))
    calls = curves["nfe"]
    assert len(calls.x) == 20
    assert (calls.x[0], calls.x[-1]) == (0, 49)
    assert calls.y[0] == [counts["nfe_forward"], counts["nfe_backward"], counts["vjp_backward"]]
    assert (metrics["nfe_start"], metrics["nfe_end"]) == (calls.y[0][0], calls.y[-1][0])
    assert (calls.y[0][1] > 0) == (gradient == "adjoint")


def test_the_loss_of_the_whole_trajectory_is_known_before_and_after_all_iterations():
    metrics, curves = trained(replace(CELL, iterations=30))
    whole = curves["whole_loss"]
    assert (whole.x[0], whole.x[-1], len(whole.x)) == (0, 30, 5)
    assert (metrics["initial_loss"], metrics["final_loss"]) == (whole.y[0][0], whole.y[-1][0])
    untrained = prepared(CELL)
    assert whole.y[0][0] == judged(untrained)[0]


@pytest.mark.parametrize(("iterations", "wanted"), [(1, 20), (2, 20), (19, 20), (20, 20), (21, 20), (2000, 20)])
def test_spaced_iterations_contain_the_first_and_the_last_with_even_gaps(iterations, wanted):
    found = sorted(spaced(iterations, wanted))
    assert (found[0], found[-1], len(found)) == (0, iterations - 1, min(iterations, wanted))
    gaps = {b - a for a, b in itertools.pairwise(found)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_counting_and_judging_do_not_count_as_training_time(monkeypatch):
    """With a fake clock that a step moves by 1 s, and a count or a solve of the whole trajectory by 1000 s."""
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    def costing(seconds, call):
        def costly(*arguments):
            now[0] += seconds
            return call(*arguments)

        return costly

    for name, seconds in [("_step", 1.0), ("count", 1000.0), ("judged", 1000.0), ("evaluated", 1000.0)]:
        monkeypatch.setattr(training, name, costing(seconds, getattr(training, name)))
    metrics, curves = trained(replace(CELL, iterations=25, evaluate="dopri5 rtol=1e-3 atol=1e-3"))
    assert curves["loss_seconds"].x == [float(i) for i in range(1, 26)]
    assert metrics["train_s"] == 25
    assert now[0] > 25_000


def test_counting_and_judging_do_not_change_the_training(monkeypatch):
    observed = trained(replace(CELL, iterations=8))[0]
    monkeypatch.setattr(training, "spaced", lambda iterations, wanted: {0})
    assert trained(replace(CELL, iterations=8))[0]["final_loss"] == observed["final_loss"]


def outcome(cell: Cell) -> tuple[float, list[list[float]]]:
    torch.set_num_threads(1)
    metrics, curves = trained(cell)
    return metrics["final_loss"], list(curves["loss"].y)


@pytest.mark.exhaustive
def test_the_same_seed_gives_bit_identical_losses_in_two_processes_and_another_seed_other_losses():
    cell = replace(CELL, iterations=20, optimiser="Adam", learning_rate=0.01, **DOPRI5)
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        there = elsewhere.submit(outcome, cell)
        here, other = outcome(cell), outcome(replace(cell, seed=1))
        assert there.result() == here
    assert other[0] != here[0]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_trains(name):
    cell = replace(CELL, optimiser=name, iterations=3)
    workload = prepared(cell)
    before = [p.clone() for p in workload.instance.field.parameters()]
    metrics, curves = train(cell, workload)
    assert all(map(math.isfinite, metrics.values()))
    assert len(curves["loss"].y) == 3
    assert not all(map(torch.equal, before, workload.instance.field.parameters()))


def test_every_optimiser_of_torch_is_known_or_refused():
    optimisers = {
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
    }
    assert optimisers - {"Optimizer"} - set(OPTIMISERS) <= set(REFUSED)
    assert not set(OPTIMISERS) & {"Optimizer", *REFUSED}


@pytest.mark.parametrize(
    ("changes", "name", "rate"),
    [
        ({}, "RMSprop", 0.02),
        ({"learning_rate": 0.5}, "RMSprop", 0.5),
        ({"optimiser": "RMSprop"}, "RMSprop", 0.02),
        ({"optimiser": "Adam"}, "Adam", 0.001),
        ({"optimiser": "Adam", "learning_rate": 0.5}, "Adam", 0.5),
        ({"optimiser": "LBFGS"}, "LBFGS", 1.0),
    ],
)
def test_the_learning_rate_is_the_cells_or_the_recipes_or_the_optimisers(changes, name, rate):
    parameters = iter([torch.nn.Parameter(torch.zeros(2))])
    optimiser = optimiser_of(replace(CELL, **changes), Recipe("RMSprop", 0.02), parameters)
    assert type(optimiser).__name__ == name
    assert optimiser.param_groups[0]["lr"] == rate


def test_a_problem_has_training_exactly_where_it_has_a_recipe():
    for problem in PROBLEMS.values():
        cell = replace(CELL, problem=problem.name, horizon=problem.horizon, n_outputs=problem.n_outputs)
        assert (problem.instance(cell).training is None) == (problem.recipe is None)
    assert PROBLEMS["spiral_net"].recipe == Recipe("RMSprop", 1e-3)


def test_training_that_diverges_is_an_outcome_with_advice():
    for rate in (1e5, 1e38):
        with pytest.raises(TrialFailure, match=r"^diverged: .*smaller learning rate"):
            trained(replace(CELL, iterations=20, optimiser="SGD", learning_rate=rate))


def test_a_field_that_is_nan_from_the_start_is_non_finite_and_not_diverged():
    workload = prepared(CELL)
    with torch.no_grad():
        next(workload.instance.field.parameters()).fill_(torch.nan)
    with pytest.raises(TrialFailure) as raised:
        train(CELL, workload)
    assert raised.value.status == "non_finite"


@pytest.mark.exhaustive
@BOTH
def test_a_model_trained_with_a_fine_solver_keeps_its_loss_with_other_fine_solvers(backend):
    cell = replace(CELL, backend=backend, iterations=40, **DOPRI5)
    others = "dopri5 rtol=1e-4 atol=1e-6; tsit5 rtol=1e-6 atol=1e-8; rk4 dt=0.025; euler dt=0.2"
    metrics, curves = trained(replace(cell, evaluate=others))
    evaluation = curves["evaluation"]
    assert list(evaluation.x) == [0, 1, 2, 3]
    same, tsit5, rk4, coarse = evaluation.y
    assert same[0] == metrics["final_loss"]
    assert tsit5[0] == pytest.approx(metrics["final_loss"], rel=1e-2)
    assert rk4[0] == pytest.approx(metrics["final_loss"], rel=1e-2)
    assert coarse[0] != pytest.approx(metrics["final_loss"], rel=1e-2)
    assert rk4[1] == pytest.approx(4 * 1000, rel=0.01)
    has_them = [BACKENDS[backend].unsupported(spec.of(cell)) == "" for spec in solve_specs(others)]
    assert [row[2] for row in evaluation.y] == list(map(float, has_them))
    assert has_them[0]
    assert has_them[2] == (backend == "node")  # torchdiffeq has no classical rk4: `node` solves in its place


class Decay(torch.nn.Module):
    """y' = -1000 y^3: an explicit step that is too long explodes."""

    def forward(self, t, y):
        return -1000 * y**3


def test_a_failed_evaluation_has_an_infinite_loss_and_the_others_are_measured():
    workload = prepared(CELL)
    training, judgement = workload.instance.training, workload.instance.judgement
    shorter = replace(judgement, t=judgement.t[:20], loss=lambda y: (y - judgement.trajectory[:20]).abs().mean())
    instance = replace(workload.instance, field=Decay(), training=replace(training, judgement=shorter))
    found = evaluated(
        CELL, replace(workload, instance=instance), solve_specs("euler dt=0.025; dopri5 rtol=1e-3 atol=1e-5")
    )
    assert found.y[0][0] == math.inf
    assert math.isnan(found.y[0][1])
    assert all(map(math.isfinite, found.y[1]))


def test_a_cell_without_evaluate_has_no_evaluation():
    assert "evaluation" not in trained(CELL)[1]


def test_evaluate_has_one_canonical_text_however_it_is_written():
    canonical = "euler dt=0.1; dopri5 rtol=1e-06 atol=1e-08"
    for text in (canonical, "euler  dt=1e-1 ;dopri5 atol=1e-8   rtol=0.000001"):
        assert checked("evaluate", text) == canonical
    assert solve_specs(canonical) == (SolveSpec("euler", dt=0.1), SolveSpec("dopri5", rtol=1e-6, atol=1e-8))
    assert checked("evaluate", "") == ""


@pytest.mark.parametrize(
    ("axis", "value", "said"),
    [
        ("optimiser", "Adm", "unknown optimiser 'Adm'. Did you mean 'Adam'? Known: ASGD, "),
        ("optimiser", "Optimizer", "unknown optimiser 'Optimizer'"),
        ("optimiser", "SparseAdam", "SparseAdam takes sparse gradients"),
        ("optimiser", "Muon", "Muon takes matrices only"),
        ("optimiser", 3, "3 does not do"),
        ("learning_rate", 0, "0 does not do"),
        ("learning_rate", -0.1, "-0.1 does not do"),
        ("learning_rate", math.inf, "inf does not do"),
        ("evaluate", "eulr dt=0.1", "'eulr dt=0.1': unknown solver 'eulr'. Did you mean 'euler'?"),
        ("evaluate", "euler dt=0.1;", "an empty entry"),
        ("evaluate", " ", "an empty entry"),
        ("evaluate", "euler", "'euler': euler has no step: give dt, or rtol and atol"),
        ("evaluate", "dopri5 rtol=1e-3", "dopri5 has no step"),
        ("evaluate", "euler rtol=1e-3 atol=1e-3", "euler gives no error estimate: give dt"),
        ("evaluate", "dopri5 rtol=1e-3 atol=1e-3 dt=0.1", "dt and rtol exclude each other"),
        ("evaluate", "dopri5 rtol=0 atol=0", "rtol and atol are both 0"),
        ("evaluate", "euler dt=0", "dt is 0: it must be finite and above 0"),
        ("evaluate", "euler dt=nan", "dt is nan"),
        ("evaluate", "dopri5 rtol=-1 atol=1", "rtol is -1"),
        ("evaluate", "euler dt=fast", "dt='fast' is no number"),
        ("evaluate", "euler step=0.1", "'step=0.1' does not do"),
        ("evaluate", "euler dt=0.1 dt=0.2", "'dt=0.2' does not do"),
        ("evaluate", "euler dt=0.1; euler dt=0.10", "'euler dt=0.1' is given twice"),
        ("evaluate", "euler\ndt=0.1\nand more", "'and' does not do"),
        ("evaluate", 3, "3 does not do"),
    ],
)
def test_a_wrong_value_of_training_is_answered_in_one_line(axis, value, said):
    with pytest.raises(ValueError) as raised:
        checked(axis, value)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iterations": 0, "optimiser": "Adam"}, "optimiser without iterations"),
        ({"iterations": 0, "learning_rate": 0.1}, "learning_rate without iterations"),
        ({"iterations": 0, "evaluate": "euler dt=0.1"}, "evaluate without iterations"),
        ({"gradient": "none"}, "iterations without a gradient"),
        ({"problem": "spiral"}, "spiral is not trained: iterations goes with problem = 'spiral_net'"),
    ],
)
def test_values_that_contradict_each_other_in_training_are_refused(changes, said):
    assert said in impossible(NAMED | changes)
    assert impossible(NAMED | {"optimiser": "Adam", "learning_rate": 0.1, "evaluate": "euler dt=0.1"}) == ""
    assert impossible(NAMED | {"iterations": 0, "optimiser": ""}) == ""


def test_the_shipped_sweep_of_training_has_seeds_optimisers_and_evaluations_and_is_not_in_the_default():
    cells = [planned.cell for planned in load_sweep("training").planned]
    assert {cell.seed for cell in cells} == {0, 1, 2}
    assert len({cell.optimiser for cell in cells}) >= 2
    assert all(len(solve_specs(cell.evaluate)) == 2 for cell in cells)
    assert {planned.study for planned in load_sweep("training").planned} == {"spiral"}
    assert not {cell.key for cell in cells} & {planned.cell.key for planned in load_sweep("default").planned}
