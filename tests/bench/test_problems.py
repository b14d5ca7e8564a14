"""Problems: their true solutions agree with published end values, and their instances are as the cell asks."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

import node
from bench.measures.truth import Truth
from bench.problems import PROBLEMS
from results.records import Cell

# From the literature and from Taylor series in 50 digits, independent of the code under test.
END_VALUES = {
    ("spiral", 1.5): (1.2919915629767863913, 0.97258607443451642539),
    ("spiral", 25.0): (-0.44362348669863494539, 0.2794406416189389983),
    ("lotka_volterra", 10.0): (1.0263447675750893191, 0.90969107813604161755),
    ("van_der_pol", 20.0): (1.9393585327826517344, -0.070081505735807403337),
    ("lorenz", 1.0): (-9.3785700109250623608, -8.3570337884266447329, 29.36232533736342818),
    ("pendulum", 10.0): (-0.61637258153309343362, -0.84502300787790647117),
}
# Twice the largest error seen with 2 to 1000 outputs: 1.6e-12, 2.2e-12, 1.5e-12, 1.4e-13, 4.3e-12, 5.5e-13. The
# error follows the tolerance (it is a tenth at 1e-13): it comes from the steps and not from rounding.
LARGEST_ERROR = {
    ("spiral", 1.5): 3.2e-12,
    ("spiral", 25.0): 4.4e-12,
    ("lotka_volterra", 10.0): 3e-12,
    ("van_der_pol", 20.0): 2.8e-13,
    ("lorenz", 1.0): 8.6e-12,
    ("pendulum", 10.0): 1.1e-12,
}


def cell_of(name: str, **changes: object) -> Cell:
    problem = PROBLEMS[name]
    cell = Cell(
        problem=name,
        backend="node",
        solver="dopri8",
        horizon=problem.horizon,
        n_outputs=problem.n_outputs,
        rtol=1e-12,
        atol=1e-12,
        dtype="float64",
    )
    return replace(cell, **changes)


@pytest.mark.parametrize("n_outputs", [2, 101])
@pytest.mark.parametrize(("name", "horizon"), END_VALUES)
def test_the_true_solution_meets_the_published_end_value(name, horizon, n_outputs):
    truth = Truth(cell_of(name, horizon=horizon, n_outputs=n_outputs), PROBLEMS[name]).solution()
    expected = torch.tensor(END_VALUES[name, horizon], dtype=torch.float64)
    torch.testing.assert_close(truth[-1, 0], expected, rtol=0, atol=LARGEST_ERROR[name, horizon])


@pytest.mark.parametrize(("name", "horizon"), END_VALUES)
def test_the_true_solution_is_as_good_at_an_output_before_the_end(name, horizon):
    """Dense output between two steps would have a far larger error than the steps."""
    truth = Truth(cell_of(name, horizon=2 * horizon, n_outputs=3), PROBLEMS[name]).solution()
    expected = torch.tensor(END_VALUES[name, horizon], dtype=torch.float64)
    torch.testing.assert_close(truth[1, 0], expected, rtol=0, atol=LARGEST_ERROR[name, horizon])


@pytest.mark.parametrize("name", ["cosine", "exp_sin"])
def test_an_exact_solution_solves_its_equation(name):
    problem, cell = PROBLEMS[name], cell_of(name)
    instance = problem.instance(cell)
    solved = node.solve(
        instance.field, instance.y0, instance.t, solver="dopri8", controller=node.PIDController(rtol=1e-12, atol=1e-12)
    )
    assert torch.allclose(solved.y[:, 0], problem.exact(instance.t), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_instance_has_the_dtype_and_the_batch_size_of_its_cell(name, dtype):
    cell = cell_of(name, dtype=dtype, batch_size=5, n_outputs=4)
    instance = PROBLEMS[name].instance(cell)
    dy = instance.field(instance.t[0], instance.y0)
    assert dy.shape == instance.y0.shape
    assert len(instance.y0) == 5
    assert len(instance.t) == 4
    assert {dy.dtype, instance.y0.dtype} == {getattr(torch, dtype)}
    assert instance.t.dtype == torch.float64
    assert all(p.requires_grad for p in instance.field.parameters())


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_seed_alone_decides_an_instance(name):
    one, same = (PROBLEMS[name].instance(cell_of(name, batch_size=3, seed=7)) for _ in range(2))
    assert torch.equal(one.y0, same.y0)
    assert all(torch.equal(a, b) for a, b in zip(one.field.parameters(), same.field.parameters(), strict=True))


def test_the_first_sample_of_a_batch_is_the_problems_own_initial_value():
    instance = PROBLEMS["spiral"].instance(cell_of("spiral", batch_size=4))
    assert instance.y0[0].tolist() == [2.0, 0.0]
    assert not torch.equal(instance.y0[1], instance.y0[0])


def test_a_training_window_is_a_piece_of_the_true_trajectory():
    cell = cell_of("spiral_net", batch_size=20)
    training = PROBLEMS["spiral_net"].instance(cell).training
    true = training.judgement.trajectory[:, 0]
    for batch in islice(training.batches(), 3):
        assert torch.equal(batch.y0, batch.target[0])
        starts = [(true == y).all(-1).nonzero().item() for y in batch.y0]
        assert len(set(starts)) == 20
        for i, start in enumerate(starts):
            assert torch.equal(batch.target[:, i], true[start : start + 10])
