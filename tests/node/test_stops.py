"""The ends of steps: at required times, at jumps of the vector field, on a grid, and within limits of the step size."""

import itertools
import math
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor

from node import SOLVERS, Callbacks, FixedGrid, FixedStep, PIDController, Solution, solve
from node.controller import Controller

every_adaptive_solver = pytest.mark.parametrize("name", [name for name in SOLVERS if SOLVERS[name].adaptive])
every_solver = pytest.mark.parametrize("name", SOLVERS)
both_directions = pytest.mark.parametrize("ends", [(0.0, 2.0), (2.0, 0.0)], ids=["forwards", "backwards"])


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def steps(controller: Controller, times: Iterable[float], **how: object) -> tuple[list[float], Solution[Tensor]]:
    """The start times of accepted steps and the end of the last step, and the solution of y' = y cos t."""
    starts: list[float] = []
    solution = solve(
        how.pop("f", lambda t, y: y * torch.cos(t)), tensor(1.0), tensor(*times),
        **({"solver": "dopri5", "controller": controller} | how),
        callbacks=Callbacks(accept=lambda t, y, dt: starts.append(t)),
    ).require_success()  # fmt: skip
    return [*starts, list(times)[-1]], solution


@every_adaptive_solver
@both_directions
def test_steps_end_at_every_time_of_step_t(name: str, ends: tuple[float, float]) -> None:
    step_t = (0.7, 1.1, 5.0, 1.100001, 0.0, 2.0)  # 5.0 is outside, 0.0 and 2.0 are the ends
    controller = PIDController(rtol=1e-4, atol=1e-4, step_t=step_t)
    taken, solution = steps(controller, ends, solver=name)
    assert {0.7, 1.1, 1.100001} <= set(taken)
    exact = math.exp(math.sin(ends[1]) - math.sin(ends[0]))
    assert solution.y[-1].item() == pytest.approx(exact, rel=2e-2)


def test_a_time_of_step_t_does_not_shorten_the_steps_after_it() -> None:
    free, _ = steps(PIDController(rtol=1e-4, atol=1e-4), (0.0, 2.0))
    hit, _ = steps(PIDController(rtol=1e-4, atol=1e-4, step_t=(free[2] + 1e-3,)), (0.0, 2.0))
    assert len(hit) <= len(free) + 1


def stairs(t: Tensor, y: Tensor) -> Tensor:
    """y' = y before 1, and -3 y from then on."""
    return torch.where(t < 1, y, -3 * y)


STAIRS = math.exp(1.0 - 3.0)


@every_adaptive_solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@both_directions
def test_a_jump_in_jump_t_costs_no_accuracy(name: str, dtype: torch.dtype, ends: tuple[float, float]) -> None:
    """The error is that of two solves, one on each side of the jump, also in float32."""
    tolerance = 1e-4 if SOLVERS[name].order < 4 else 1e-5
    controller = PIDController(rtol=tolerance, atol=tolerance, jump_t=(1.0,))

    def end(f: Callable[[Tensor, Tensor], Tensor], y0: Tensor, *times: float) -> Tensor:
        return (
            solve(f, y0, torch.tensor(times, dtype=dtype), solver=name, controller=controller).require_success().y[-1]
        )

    y0 = torch.ones(1, dtype=dtype)
    sides = [lambda t, y: y, lambda t, y: -3 * y]
    first, second = sides if ends[0] == 0 else reversed(sides)
    exact = STAIRS if ends[0] == 0 else 1 / STAIRS
    at_once = end(stairs, y0, *ends).item() / exact - 1
    by_halves = end(second, end(first, y0, ends[0], 1.0), 1.0, ends[1]).item() / exact - 1
    assert abs(at_once) <= 2 * abs(by_halves) + 3 * tolerance


def test_a_jump_in_jump_t_saves_the_rejected_steps_around_it() -> None:
    plain = {"rtol": 1e-6, "atol": 1e-6}
    _, with_jump_t = steps(PIDController(**plain, jump_t=(1.0,)), (0.0, 2.0), f=stairs)
    _, without_jump_t = steps(PIDController(**plain), (0.0, 2.0), f=stairs)
    assert with_jump_t.stats.nfe_forward < 0.6 * without_jump_t.stats.nfe_forward
    assert abs(with_jump_t.y[-1].item() - STAIRS) < 1e-6


def test_at_a_jump_f_is_called_just_before_and_just_after_it() -> None:
    """f is never called at the jump itself, but at the floats next to it."""
    times: list[float] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        times.append(t.item())
        return stairs(t, y)

    steps(PIDController(rtol=1e-3, atol=1e-3, jump_t=(1.0,)), (0.0, 2.0), f=f)
    assert 1.0 not in times
    assert {math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0)} <= set(times)


@both_directions
def test_at_a_jump_at_an_end_f_is_called_inside_the_interval(ends: tuple[float, float]) -> None:
    """f is another function at both ends and beyond."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.where((t > 0) & (t < 2), y, torch.full_like(y, 1e6))

    _, solution = steps(PIDController(rtol=1e-8, atol=1e-8, jump_t=(0.0, 2.0)), ends, f=f)
    assert solution.y[-1].item() == pytest.approx(math.exp(ends[1] - ends[0]), rel=1e-6)


@pytest.mark.parametrize("name", ["tsit5", "bosh3"])
def test_no_step_is_larger_than_max_step(name: str) -> None:
    taken, _ = steps(PIDController(rtol=1e-3, atol=1e-3, max_step=0.05, first_step=1.0), (0.0, 2.0), solver=name)
    assert max(b - a for a, b in itertools.pairwise(taken)) <= 0.05 * (1 + 1e-12)
    assert len(taken) == pytest.approx(41, abs=1)


def test_a_step_of_min_step_is_accepted_whatever_its_error() -> None:
    taken, solution = steps(PIDController(rtol=1e-12, atol=1e-12, min_step=0.1), (0.0, 2.0))
    assert min(b - a for a, b in itertools.pairwise(taken)) >= 0.1 * (1 - 1e-9)
    assert solution.stats.n_accepted == 20
    assert solution.y[-1].item() == pytest.approx(math.exp(math.sin(2.0)), rel=1e-4)


@pytest.mark.parametrize(("least", "most"), [(-0.1, 1.0), (1.0, 0.5), (0.0, 0.0), (math.nan, 1.0)])
def test_limits_of_the_step_that_are_not_in_order_are_refused(least: float, most: float) -> None:
    with pytest.raises(ValueError, match="0 <= min_step <= max_step and 0 < max_step are needed"):
        PIDController(rtol=1e-3, atol=1e-3, min_step=least, max_step=most)


@pytest.mark.parametrize("which", ["step_t", "jump_t"])
def test_a_step_t_or_jump_t_that_is_not_finite_is_refused(which: str) -> None:
    with pytest.raises(ValueError, match="step_t or jump_t has an entry that is not finite"):
        PIDController(rtol=1e-3, atol=1e-3, **{which: (1.0, math.nan)})


def test_coefficients_that_are_not_three_finite_numbers_are_refused() -> None:
    for wrong in ((1.0, 2.0), (1.0, math.nan, 0.0)):
        with pytest.raises(ValueError, match=r"must be three finite numbers \(P, I, D\)"):
            PIDController(rtol=1e-3, atol=1e-3, coefficients=wrong)


@every_solver
@both_directions
def test_a_uniform_grid_gives_the_steps_of_a_fixed_step(name: str, ends: tuple[float, float]) -> None:
    grid = FixedGrid(tuple(torch.linspace(0.0, 2.0, 17, dtype=torch.float64).tolist()))
    times = (ends[0], 0.33, ends[1])
    _, on_grid = steps(grid, times, solver=name)
    _, fixed = steps(FixedStep(dt=0.125), times, solver=name)
    torch.testing.assert_close(on_grid.y, fixed.y, rtol=1e-13, atol=0)
    assert on_grid.stats == fixed.stats


@both_directions
def test_steps_follow_the_grid_between_the_ends(ends: tuple[float, float]) -> None:
    grid = (-1.0, 0.0, 0.1, 0.5, 1.9, 2.0, 3.0)
    taken, _ = steps(FixedGrid(grid), ends)
    assert sorted(taken) == [0.0, 0.1, 0.5, 1.9, 2.0]


@both_directions
def test_a_one_sided_grid_hides_jumps_at_its_times(ends: tuple[float, float]) -> None:
    """rk4 calls f at both ends of a step: at a jump each step takes the value of its own side."""
    exact = STAIRS if ends[0] == 0 else 1 / STAIRS
    times = tuple(i / 16 for i in range(33))

    def error(*, one_sided: bool) -> float:
        _, solution = steps(FixedGrid(times, one_sided=one_sided), ends, f=stairs, solver="rk4")
        return abs(solution.y[-1].item() / exact - 1)

    assert error(one_sided=True) < 1e-4
    assert error(one_sided=False) > 1e-2


def test_a_grid_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="FixedGrid: a time is not finite"):
        FixedGrid((0.0, math.inf))
