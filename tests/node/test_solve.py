"""A solve takes states of any shape, layout and dtype, both directions of time, and any output times."""

import math

import pytest
import torch
from torch import Tensor

from node import SOLVERS, FixedStep, PIDController, Status, solve
from node.controller import Controller
from node.solvers import Solver
from node.solvers.explicit.stages import weights
from tests.support.cases import FIXED, every_case, every_gradient, field, seconds
from tests.support.estimates import tolerance_for
from tests.support.families import EXPLICIT, IMPLICIT, ONE_STEP, PRECISE

every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@every_dtype
@pytest.mark.parametrize("shape", [(), (1,), (24,), (2, 3, 4), (2, 1, 12)], ids=str)
@every_case
def test_the_shape_of_the_state_is_kept_and_does_not_change_the_result(
    solver: str, controller: Controller, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    count = math.prod(shape)
    flat = torch.linspace(0.5, 1.5, count, dtype=dtype)
    t = seconds(0, 0.4, 1)
    shaped = solve(field, flat.reshape(shape), t, solver=solver, controller=controller).require_success()
    assert shaped.y.shape == (3, *shape)
    assert shaped.y.dtype == dtype
    assert torch.equal(shaped.y[0], flat.reshape(shape))
    assert torch.equal(shaped.t, t)
    expected = solve(field, flat, t, solver=solver, controller=controller).y
    assert torch.equal(shaped.y.reshape(3, count), expected)


@pytest.mark.parametrize("solver", [SOLVERS[name] for name in SOLVERS if name not in IMPLICIT], ids=lambda s: s.name)
def test_f_gets_t_as_a_scalar_of_the_states_dtype_and_y_in_its_shape(solver: Solver) -> None:
    seen = set()

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.add((t.shape, t.dtype, t.requires_grad, y.shape, y.dtype))
        return -y

    solve(f, torch.ones(2, 3, dtype=torch.float32), seconds(0, 1), solver=solver, controller=FIXED)
    assert seen == {((), torch.float32, False, (2, 3), torch.float32)}


@pytest.mark.parametrize("t", [(0.25, 1.0, 2.0), (2.0, 1.0, 0.25)], ids=["forwards", "backwards"])
@every_case
def test_f_is_never_called_outside_the_interval(solver: str, controller: Controller, t: tuple[float, ...]) -> None:
    called_at = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        called_at.append(t.item())
        return -3 * y

    solve(f, torch.ones(1, dtype=torch.float64), seconds(*t), solver=solver, controller=controller)
    assert min(called_at) >= 0.25 - 1e-15
    assert max(called_at) <= 2.0 + 1e-15
    assert called_at[0] == t[0]


@every_case
def test_forwards_and_back_returns_to_the_start(solver: str, controller: Controller) -> None:
    y0 = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
    fine = FixedStep(dt=0.01) if isinstance(controller, FixedStep) else controller
    there = solve(field, y0, seconds(0, 0.7), solver=solver, controller=fine).y[-1]
    back = solve(field, there, seconds(0.7, 0), solver=solver, controller=fine).y[-1]
    assert (there - y0).abs().max() > 0.1
    torch.testing.assert_close(back, y0, rtol=0, atol=3e-2 if SOLVERS[solver].order == 1 else 1e-3)


@every_case
def test_a_solve_backwards_equals_the_solve_of_the_mirrored_field(solver: str, controller: Controller) -> None:
    """With s = -t, dy/ds = -f(-s, y): the steps are the same, and the states to rounding."""
    y0, t = torch.linspace(0.5, 1.5, 4, dtype=torch.float64), seconds(1.0, 0.55, 0.1)
    backwards = solve(field, y0, t, solver=solver, controller=controller)
    mirrored = solve(lambda s, y: -field(-s, y), y0, -t, solver=solver, controller=controller)
    torch.testing.assert_close(backwards.y, mirrored.y, rtol=1e-14, atol=1e-15)
    assert backwards.stats == mirrored.stats


@pytest.mark.parametrize("layout", ["strided", "transposed", "expanded", "cut"])
@every_gradient
@every_case
def test_the_memory_layout_of_the_state_does_not_change_the_result(
    solver: str, controller: Controller, gradient: str, layout: str
) -> None:
    grid = torch.linspace(0.5, 1.5, 12, dtype=torch.float64)
    y0 = {
        "strided": grid[::2],
        "transposed": grid.reshape(3, 4).t(),
        "expanded": grid[:1].expand(5),
        "cut": grid.reshape(3, 4).permute(1, 0)[1:],
    }[layout]
    assert not y0.is_contiguous()
    how = {"solver": solver, "controller": controller, "gradient": gradient, "parameters": ()}
    found = solve(field, y0, seconds(0, 0.4, 1), **how).y
    assert torch.equal(found, solve(field, y0.contiguous(), seconds(0, 0.4, 1), **how).y)


@every_gradient
@every_solver
def test_a_field_may_return_any_layout_and_dtype(solver: Solver, gradient: str) -> None:
    y0 = torch.linspace(0.5, 1.5, 6, dtype=torch.float64).reshape(2, 3)
    how = {"solver": solver, "controller": FIXED, "gradient": gradient, "parameters": ()}

    def transposed(t: Tensor, y: Tensor) -> Tensor:
        return field(t, y).t().contiguous().t()

    assert torch.equal(solve(transposed, y0, seconds(0, 1), **how).y, solve(field, y0, seconds(0, 1), **how).y)
    single = solve(lambda t, y: field(t, y).float(), y0, seconds(0, 1), **how).y
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, solve(field, y0, seconds(0, 1), **how).y, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("y_dtype", "t_dtype"), [(torch.float32, torch.float64), (torch.float64, torch.float32)], ids=str
)
@every_gradient
@every_case
def test_times_and_state_may_differ_in_dtype(
    solver: str, controller: Controller, gradient: str, y_dtype: torch.dtype, t_dtype: torch.dtype
) -> None:
    y0 = torch.linspace(0.5, 1.5, 4, dtype=y_dtype).requires_grad_()
    times = (0, 0.5, 1)  # the same numbers in both dtypes
    how = {"solver": solver, "controller": controller, "gradient": gradient, "parameters": ()}
    solution = solve(field, y0, seconds(*times, dtype=t_dtype), **how)
    assert (solution.y.dtype, solution.t.dtype) == (y_dtype, t_dtype)
    assert torch.equal(solution.y, solve(field, y0, seconds(*times, dtype=y_dtype), **how).y)
    solution.y.sum().backward()
    assert y0.grad.dtype == y_dtype


@every_gradient
@every_case
def test_a_single_output_time_is_the_start(solver: str, controller: Controller, gradient: str) -> None:
    y0 = torch.ones(2, 3, dtype=torch.float64)
    solution = solve(
        field, y0, seconds(0.7), solver=solver, controller=controller, gradient=gradient, parameters=()
    ).require_success()
    assert torch.equal(solution.y, y0.unsqueeze(0))
    assert solution.stats.n_accepted == 0


@every_case
def test_a_few_of_a_thousand_outputs_equal_those_of_a_solve_with_these_alone(
    solver: str, controller: Controller
) -> None:
    """Outputs do not change the steps, so only the rounding of the sums in dense output differs.

    It is proportional to the largest coefficient of b_i(theta): 1207 in vern7, 88 in tsit5.
    """
    largest = max(abs(x) for row in EXPLICIT[solver].tableau.dense for x in row) if solver in EXPLICIT else 50
    rounding = max(1e-14, torch.finfo(torch.float64).eps * largest)
    y0 = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
    t = torch.linspace(0, 2, 1000, dtype=torch.float64)
    many = solve(field, y0, t, solver=solver, controller=controller).require_success()
    assert many.y.shape == (1000, 4)
    picked = [0, 1, 17, 500, 998, 999]
    few = solve(field, y0, t[picked], solver=solver, controller=controller).require_success()
    torch.testing.assert_close(many.y[picked], few.y, rtol=rounding, atol=1e-15)
    assert many.stats.n_accepted == few.stats.n_accepted


@pytest.mark.parametrize("t", [(0.0, 0.3, 1.1), (1.1, 0.8, 0.0)], ids=["forwards", "backwards"])
@every_solver
def test_an_output_at_the_end_of_a_step_equals_a_solve_that_ends_there(solver: Solver, t: tuple[float, ...]) -> None:
    """Three steps of 0.1 meet 0.3 but for rounding, and the output is not interpolated."""
    y0 = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
    whole = solve(field, y0, seconds(*t), solver=solver, controller=FixedStep(dt=0.1))
    part = solve(field, y0, seconds(*t[:2]), solver=solver, controller=FixedStep(dt=0.1))
    assert whole.stats.n_accepted == 11
    torch.testing.assert_close(whole.y[1], part.y[1], rtol=1e-15, atol=1e-16)


@pytest.mark.parametrize("solver", ONE_STEP.values(), ids=ONE_STEP)
def test_the_last_step_is_shortened_to_end_at_the_end_time(solver: Solver) -> None:
    y0 = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
    whole = solve(field, y0, seconds(0, 1), solver=solver, controller=FixedStep(dt=0.3))
    first = solve(field, y0, seconds(0, 0.9), solver=solver, controller=FixedStep(dt=0.3)).y[-1]
    rest = solve(field, first, seconds(0.9, 1), solver=solver, controller=FixedStep(dt=0.1)).y[-1]
    assert whole.stats.n_accepted == 4
    torch.testing.assert_close(whole.y[-1], rest, rtol=1e-14, atol=1e-15)


@every_solver
def test_a_step_longer_than_the_interval_is_shortened_to_it(solver: Solver) -> None:
    y0 = torch.linspace(0.5, 1.5, 4, dtype=torch.float64)
    long = solve(field, y0, seconds(0, 0.5), solver=solver, controller=FixedStep(dt=100.0))
    exact = solve(field, y0, seconds(0, 0.5), solver=solver, controller=FixedStep(dt=0.5))
    assert long.stats.n_accepted == exact.stats.n_accepted == 1
    assert torch.equal(long.y, exact.y)


@pytest.mark.parametrize("steps", [3, 10, 49, 1000])
def test_a_fixed_step_that_divides_the_interval_takes_exactly_that_many_steps(steps: int) -> None:
    """With times summed up from dt's there might be one more step."""
    for t_end in (1.0, 0.7, 2 * math.pi):
        solution = solve(
            field, torch.ones(1, dtype=torch.float64), seconds(0, t_end),
            solver="euler", controller=FixedStep(dt=t_end / steps),
        )  # fmt: skip
        assert solution.stats.n_accepted == steps


@every_case
def test_a_shift_of_time_shifts_the_solution(solver: str, controller: Controller) -> None:
    y0, t = torch.linspace(0.5, 1.5, 4, dtype=torch.float64), seconds(0, 0.35, 1)
    near = solve(field, y0, t, solver=solver, controller=controller)
    far = solve(lambda s, y: field(s - 1024, y), y0, t + 1024, solver=solver, controller=controller)
    torch.testing.assert_close(near.y, far.y, rtol=1e-9, atol=0)
    assert near.stats == far.stats


def test_a_solution_keeps_its_states_when_y0_is_overwritten() -> None:
    y0 = torch.ones(3, dtype=torch.float64)
    for t in (seconds(0), seconds(0, 1)):
        solution = solve(field, y0, t, solver="rk4", controller=FIXED)
        before = solution.y.clone()
        y0.zero_()
        assert torch.equal(solution.y, before)
        y0.fill_(1.0)


@every_case
def test_a_solve_can_be_repeated_to_the_bit(solver: str, controller: Controller) -> None:
    y0, t = torch.linspace(0.5, 1.5, 5, dtype=torch.float64), seconds(0, 0.35, 1)
    first, second = (solve(field, y0, t, solver=solver, controller=controller) for _ in range(2))
    assert torch.equal(first.y, second.y)
    assert first.stats == second.stats


@every_gradient
@every_case
def test_the_default_device_of_torch_does_not_change_the_result(
    solver: str, controller: Controller, gradient: str
) -> None:
    y0, t = torch.linspace(0.5, 1.5, 5, dtype=torch.float64), seconds(0, 0.35, 1)
    how = {"solver": solver, "controller": controller, "gradient": gradient, "parameters": ()}
    usual = solve(field, y0, t, **how)
    weights.cache_clear()
    with torch.device("meta"):
        unusual = solve(field, y0, t, **how)
    weights.cache_clear()
    assert unusual.y.device == y0.device
    assert torch.equal(unusual.y, usual.y)


@pytest.mark.parametrize("name", PRECISE)
def test_an_entry_at_rest_at_zero_needs_no_absolute_tolerance(name: str) -> None:
    y0, controller = seconds(1.0, 0.0), PIDController(rtol=tolerance_for(name, 1e-5), atol=0.0)
    solution = solve(lambda t, y: -y, y0, seconds(0, 1), solver=name, controller=controller)
    assert solution.status is Status.success
    torch.testing.assert_close(solution.y[-1], seconds(math.exp(-1), 0), rtol=1e-4, atol=0)
