"""Errors against the true solution, the true gradient and the discrete gradient; the identity of true values."""

import math
from dataclasses import replace

import pytest
import torch

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.measures.accuracy import errors
from bench.measures.truth import Truth
from bench.problems import PROBLEMS, Problem
from bench.problems.spiral import CubicSpiral
from results.records import Cell

CELL = Cell(
    problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=11, rtol=1e-5, atol=1e-7, dtype="float64"
)
COSINE = replace(CELL, problem="cosine", solver="euler", rtol=None, atol=None, dt=0.5, horizon=5.0)
MODES = ("backprop", "checkpointed", "adjoint", "interpolating", "forward")


def errors_of(cell: Cell, problem: Problem | None = None) -> dict[str, float]:
    problem = problem or PROBLEMS[cell.problem]
    return errors(cell, problem, BACKENDS[cell.backend].prepare(cell, problem))[0]


def asked_for(cell: Cell, problem: Problem | None = None) -> dict[str, object]:
    return Truth(cell, problem or PROBLEMS[cell.problem]).asked


def test_the_error_is_the_largest_over_the_outputs_and_error_final_that_of_the_last():
    """Euler's y for y' = cos t is a Riemann sum, which needs no solver."""
    t = torch.linspace(0, 5, 11, dtype=torch.float64)
    off = (0.5 * torch.cat([torch.zeros(1, dtype=torch.float64), torch.cos(t[:-1]).cumsum(0)]) - torch.sin(t)).abs()
    measured = errors_of(COSINE)
    assert measured["error"] == pytest.approx(off.max().item(), rel=1e-12)
    assert measured["error_final"] == pytest.approx(off[-1].item(), rel=1e-12)
    assert off[-1] < 0.9 * off.max()


def test_float32_is_judged_in_float64():
    """With a step this small only rounding error remains, which true values in float32 would not show."""
    fine = replace(COSINE, solver="rk4", dt=0.01)
    single, double = errors_of(replace(fine, dtype="float32")), errors_of(fine)
    assert double["error"] < 1e-10
    assert 1e-8 < single["error"] < 1e-5


def central_differences(cell: Cell, step: float = 1e-5) -> torch.Tensor:
    """The gradient of a tight solve's loss by central differences in each parameter; its error is about 1e-9."""
    tight = replace(cell, solver="dopri8", rtol=1e-13, atol=1e-13, gradient="backprop")
    workload = BACKENDS["node"].prepare(tight, PROBLEMS[cell.problem])
    slopes = []
    with torch.no_grad():
        for parameter in workload.instance.field.parameters():
            flat = parameter.view(-1)
            for i in range(len(flat)):
                moved = []
                for sign in (1, -1):
                    flat[i] += sign * step
                    moved.append(workload.loss().item())
                    flat[i] -= sign * step
                slopes.append((moved[0] - moved[1]) / (2 * step))
    return torch.tensor(slopes, dtype=torch.float64)


@pytest.mark.parametrize("problem", ["spiral", "lotka_volterra", "pendulum"])
def test_the_true_gradient_is_that_of_central_differences(problem):
    cell = replace(CELL, problem=problem, gradient="adjoint")
    true = Truth(cell, PROBLEMS[problem]).gradient()
    torch.testing.assert_close(true, central_differences(cell), rtol=1e-7, atol=1e-8)


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", MODES)
def test_the_gradient_of_each_mode_converges_to_the_true_gradient_with_the_tolerance(gradient):
    loose, tight = (
        errors_of(replace(CELL, gradient=gradient, rtol=rtol, atol=rtol / 100))["gradient_error"]
        for rtol in (1e-4, 1e-9)
    )
    assert tight < 1e-6
    assert tight < 0.01 * loose


@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", BACKENDS)
def test_backprop_gives_the_discrete_gradient_and_the_adjoint_is_near_it(backend):
    backprop, adjoint = (
        errors_of(replace(CELL, backend=backend, gradient=mode, rtol=1e-8, atol=1e-10))
        for mode in ("backprop", "adjoint")
    )
    assert backprop["gradient_error_discrete"] == 0.0
    assert 0.0 < adjoint["gradient_error_discrete"] < 1e-5
    assert adjoint["gradient_error"] < 1e-5 > backprop["gradient_error"]


def test_a_solve_without_a_gradient_has_no_gradient_error():
    assert set(errors_of(CELL)) == {"error", "error_final"}


def test_a_solution_that_is_not_finite_has_no_error_but_a_reason():
    with pytest.raises(TrialFailure, match="take a smaller step") as raised:
        errors_of(replace(COSINE, problem="van_der_pol", horizon=20.0))
    assert raised.value.status == "non_finite"


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "rk4", "rtol": None, "atol": None, "dt": 0.1},
        {"rtol": 1e-3},
        {"dtype": "float32"},
        {"gradient": "adjoint"},
        {"threads": 2},
        {"backend": "torchdiffeq"},
    ],
)
def test_how_a_cell_is_solved_does_not_change_its_true_values(change):
    assert asked_for(replace(CELL, **change)) == asked_for(CELL)


@pytest.mark.parametrize("change", [{"horizon": 2.0}, {"n_outputs": 12}, {"batch_size": 2}, {"seed": 1}])
def test_what_a_cell_solves_changes_its_true_values(change):
    cell = replace(CELL, batch_size=3)
    assert asked_for(replace(cell, **change)) != asked_for(cell)


def test_a_changed_problem_of_the_same_name_has_other_true_values():
    spiral = PROBLEMS["spiral"]
    plain = spiral.instance(CELL)

    def asked_for_changed(**changes: object) -> dict[str, object]:
        return asked_for(CELL, replace(spiral, make=lambda cell: replace(plain, **changes)))

    other_field, other_constants = CubicSpiral().double(), CubicSpiral().double()
    other_field.forward = lambda t, y: 2 * plain.field(t, y)
    with torch.no_grad():
        for parameter in other_constants.parameters():
            parameter.mul_(1.001)
    assert asked_for_changed() == asked_for(CELL)
    assert asked_for_changed(y0=plain.y0 + 1e-9) != asked_for(CELL)
    assert asked_for_changed(loss=lambda y: y.abs().mean()) != asked_for(CELL)
    assert asked_for_changed(field=other_field) != asked_for(CELL)
    assert asked_for_changed(field=other_constants) != asked_for(CELL)


def test_a_lack_of_true_values_is_the_reason_of_the_failure():
    def explodes(cell: Cell):
        instance = PROBLEMS["spiral"].instance(cell)
        field = CubicSpiral().double()
        field.forward = lambda t, y: y * y.square().sum()  # infinite at t = 1/8
        return replace(instance, field=field)

    problem = replace(PROBLEMS["spiral"], make=explodes)
    with pytest.raises(TrialFailure, match="there is no true solution to compare with"):
        Truth(CELL, problem).solution()
    assert math.isfinite(errors_of(CELL)["error"])
