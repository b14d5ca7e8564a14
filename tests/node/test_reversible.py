"""Reversible solvers: their steps can be reversed; orders, stability of rounding and costs as in their papers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from node import SOLVERS, Counted, FixedStep, PIDController, solve
from node.solvers import (
    AsynchronousLeapfrog,
    ExplicitRungeKutta,
    ReversibleRungeKutta,
    ReversibleSolver,
)
from node.user_field import UserField
from tests.support.reversibles import (
    State,
    every_base,
    every_method,
    forwards,
    parts,
    pendulum,
    slope,
    tensor,
)

REGISTERED = [solver for solver in SOLVERS.values() if isinstance(solver, ReversibleSolver)]


def distance(one: State, other: State) -> float:
    return max((a - b).abs().max().item() for a, b in zip(parts(one), parts(other), strict=True))


def backwards(solver: ReversibleSolver, f: UserField, times: Sequence, sizes: Sequence, state: State) -> list[State]:
    """The states at the starts of the steps and at the end, in order of time, recovered from the end."""
    workspace, states = solver.workspace(state[0], record=False), [state]
    for t, dt in zip(reversed(times[:-1]), reversed(sizes), strict=True):
        y1, carry1 = states[-1]
        states.append(solver.reverse(f, t, y1, dt, carry1, workspace))
    return states[::-1]


def rounding_factor(solver: ReversibleSolver) -> float:
    """The factor by which a reversed step multiplies rounding errors, apart from that of f."""
    if isinstance(solver, AsynchronousLeapfrog):
        return 1 / abs(1 - 2 * solver.eta)
    return 1 / solver.coupling if isinstance(solver, ReversibleRungeKutta) else 1.0


def recovery_error(solver: ReversibleSolver, n: int, sign: float) -> float:
    """The largest distance between the states of n steps of changing size and the states recovered from the end."""
    sizes = [sign * 0.01 * (1.2 + math.sin(i)) for i in range(n)]
    f, y0 = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0)
    times, states = forwards(solver, f, 0.5, y0, sizes)
    assert distance(states[-1], states[0]) > 0.1
    return max(map(distance, states, backwards(solver, f, times, sizes, states[-1])))


@pytest.mark.separable
@pytest.mark.parametrize("solver", REGISTERED, ids=lambda solver: solver.name)
def test_a_thousand_steps_are_reversed_to_rounding(solver: ReversibleSolver) -> None:
    assert recovery_error(solver, 1000, 1.0) < 1e-10


@every_method
def test_steps_backwards_in_time_are_reversed_to_rounding(solver: ReversibleSolver) -> None:
    """The rounding of the damped leapfrog grows 1.25-fold a step."""
    assert recovery_error(solver, 40, -1.0) < (1e-10 if rounding_factor(solver) > 1.01 else 1e-13)


@pytest.mark.parametrize(
    "solver",
    [
        ReversibleRungeKutta(SOLVERS["midpoint"], coupling=0.9),
        ReversibleRungeKutta(SOLVERS["bosh3"], coupling=0.8),
        AsynchronousLeapfrog(eta=0.95),
    ],
    ids=["coupling 0.9", "coupling 0.8", "eta 0.95"],
)
def test_a_reversed_step_multiplies_rounding_by_the_factor_of_the_coupling(solver: ReversibleSolver) -> None:
    """The error is the largest over many states, each with its own rounding."""
    y0, sizes = torch.linspace(0.1, 0.9, 97, dtype=torch.float64), [0.1] * 100
    f = UserField.of(lambda t, y: torch.cos(t).expand_as(y), y0)
    times, states = forwards(solver, f, 0.0, y0, sizes)
    recovered = backwards(solver, f, times, sizes, states[-1])
    lost = [distance(a, b) for a, b in zip(states, recovered, strict=True)]
    assert math.log(lost[0] / lost[60]) / 60 == pytest.approx(math.log(rounding_factor(solver)), rel=0.1)


@every_method
def test_a_reversed_step_calls_f_at_the_times_of_the_step(solver: ReversibleSolver) -> None:
    """The times are equal to the last bit, so that an f that jumps at a time gives the same value."""
    called: list[float] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        called.append(t.item())
        return pendulum(t, y)

    sizes = [0.1 / (1 + i % 3) for i in range(7)]
    times, states = forwards(solver, UserField.of(f, tensor(2.0, 0.0)), 0.3, tensor(2.0, 0.0), sizes)
    forward_times = set(called)
    called.clear()
    backwards(solver, UserField.of(f, tensor(2.0, 0.0)), times, sizes, states[-1])
    assert set(called) <= forward_times


@every_method
def test_a_step_does_not_change_y_and_carry_and_can_be_repeated(solver: ReversibleSolver) -> None:
    f, y = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0)
    _, states = forwards(solver, f, 0.0, y, [0.1, 0.2])
    y, carry = states[-1]
    before = [part.clone() for part in parts((y, carry))]
    workspace = solver.workspace(y, record=False)
    first, other, again = (
        solver.step(f, 0.3, y, dt, carry, workspace, estimate=solver.adaptive) for dt in (0.2, 0.05, 0.2)
    )
    assert all(map(torch.equal, parts((y, carry)), before))
    assert all(map(torch.equal, parts((first.y1, first.carry)), parts((again.y1, again.carry))))
    assert not torch.equal(first.y1, other.y1)


def riccati_errors(solver: ReversibleSolver, grid: Sequence[int]) -> tuple[list[float], list[float]]:
    """The errors of y, and of the mean of y and z, at the end of y' = -y^2 cos t from several y0."""
    y0 = 1 / tensor(1.6, 2.0, 2.5, -1.8)
    exact = 1 / (1 / y0 + math.sin(2.5))
    errors, of_mean = [], []
    for n in grid:
        f = UserField.of(lambda t, y: -y.square() * torch.cos(t), y0)
        y, z = forwards(solver, f, 0.0, y0, [2.5 / n] * n)[1][-1]
        errors.append((y - exact).norm().item())
        of_mean.append(((y + z) / 2 - exact).norm().item())
    return errors, of_mean


@every_base
def test_the_reversible_form_has_the_order_of_its_base(base: ExplicitRungeKutta) -> None:
    """The observed order is at least that; with a small leading term, as for tsit5, it may be the next order."""
    grid = [32, 64, 128] if base.order < 5 else [12, 16, 24]
    errors, _ = riccati_errors(ReversibleRungeKutta(base), grid)
    assert slope(errors, grid) > base.order - 0.3


@every_base
def test_the_first_step_of_the_reversible_form_equals_that_of_its_base(base: ExplicitRungeKutta) -> None:
    """So the local error and its estimate are the same."""
    f, y, solver = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0), ReversibleRungeKutta(base)
    of_base, of_solver = (
        s.step(f, 0.3, y, 0.2, s.start(f, 0.3, y), s.workspace(y, record=False), estimate=base.adaptive)
        for s in (base, solver)
    )
    torch.testing.assert_close(of_solver.y1, of_base.y1, rtol=1e-15, atol=0)
    assert solver.error_order == base.error_order
    if base.adaptive:
        torch.testing.assert_close(of_solver.error, of_base.error, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["euler", "heun3", "ssprk3", "bosh3"])
def test_errors_of_odd_order_have_opposite_signs_in_y_and_z(name: str) -> None:
    """The errors of Psi_dt and Psi_-dt have opposite signs, so the order of the mean is higher by one."""
    order, grid = SOLVERS[name].order, [64, 128, 256]
    errors, of_mean = riccati_errors(ReversibleRungeKutta(SOLVERS[name], coupling=1.0), grid)
    assert slope(errors, grid) == pytest.approx(order, abs=0.1)
    assert slope(of_mean, grid) == pytest.approx(order + 1, abs=0.2)


def test_damped_leapfrog_is_of_order_one() -> None:
    """v lags behind f by (1 - eta) / (2 eta) dt f', so y' = cos t errs by that factor times dt (f(t) - f(0))."""
    for eta, order in ((1.0, 2), (0.9, 1), (0.6, 1)):
        solver = AsynchronousLeapfrog(eta=eta)
        assert (solver.order, solver.dense_order) == (order, order)
        errors = []
        for n in (64, 128, 256):
            f = UserField.of(lambda t, y: torch.cos(t).expand_as(y), tensor(0.0))
            errors.append(abs(forwards(solver, f, 0.0, tensor(0.0), [2 / n] * n)[1][-1][0].item() - math.sin(2)))
        assert slope(errors, (64, 128, 256)) == pytest.approx(order, abs=0.1)
        if order == 1:
            lag = (1 - eta) / (2 * eta) * (math.cos(2) - math.cos(0)) * 2 / 256
            assert errors[-1] == pytest.approx(abs(lag), rel=0.05)


TOLERANCE = PIDController(rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("controller", [FixedStep(dt=0.1), TOLERANCE], ids=["fixed", "adaptive"])
@every_method
def test_a_solve_calls_f_once_for_each_stage(solver: ReversibleSolver, controller: FixedStep | PIDController) -> None:
    """The last stage of a base with FSAL is evaluated only for the error estimate."""
    if controller is TOLERANCE and not solver.adaptive:
        with pytest.raises(ValueError, match="gives no error estimate"):
            solve(pendulum, tensor(2.0, 0.0), tensor(0.0, 2.0), solver=solver, controller=controller)
        return
    field = Counted(pendulum)
    stats = solve(field, tensor(2.0, 0.0), tensor(0.0, 2.0), solver=solver, controller=controller).stats
    assert stats.nfe_forward == field.calls
    fixed = isinstance(controller, FixedStep)
    tried, to_start = stats.n_accepted + stats.n_rejected, 0 if fixed else 2
    if isinstance(solver, ReversibleRungeKutta):
        estimated = not fixed and solver.base.tableau.fsal
        assert solver.stages == 2 * (solver.base.stages - solver.base.tableau.fsal)
        assert stats.nfe_forward == to_start + tried * (solver.stages + estimated)
    else:
        assert solver.stages == 2
        assert stats.nfe_forward == (to_start or 1) + tried


@every_method
def test_a_reversed_step_costs_no_more_than_a_step(solver: ReversibleSolver) -> None:
    f, y, sizes = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0), [0.1] * 10
    times, states = forwards(solver, f, 0.0, y, sizes)
    forward_times = f.calls
    backwards(solver, f, times, sizes, states[-1])
    start = 0 if isinstance(solver, ReversibleRungeKutta) else 1
    assert f.calls - forward_times == forward_times - start


@every_method
def test_each_sample_with_its_own_times_is_solved_and_reversed_as_if_alone(solver: ReversibleSolver) -> None:
    y0, t0 = tensor(2.0, 0.0, 0.5, 1.0, -1.0, 0.3).reshape(3, 2), tensor(0.0, 1.0, 2.5).reshape(3, 1)
    sizes = [tensor(0.1 * (1 + i % 2), 0.13 / (1 + i % 3), -0.07).reshape(3, 1) for i in range(6)]
    together = there_and_back(solver, UserField.of(pendulum, y0, samples=True), t0, y0, sizes)
    for i, y in enumerate(y0):
        alone = there_and_back(solver, UserField.of(pendulum, y), t0[i].item(), y, [size[i].item() for size in sizes])
        for of_all, own in zip(together, alone, strict=True):
            torch.testing.assert_close(of_all.select(-2, i), own, rtol=0, atol=1e-12)


def there_and_back(
    solver: ReversibleSolver, f: UserField, t: float | Tensor, y: Tensor, sizes: Sequence
) -> list[Tensor]:
    """The parts of the end state and of the recovered start, and dense output and error of the last step."""
    times, states = forwards(solver, f, t, y, sizes)
    recovered = backwards(solver, f, times, sizes, states[-1])
    workspace = solver.workspace(y, record=False)
    step = solver.step(f, times[-2], states[-2][0], sizes[-1], states[-2][1], workspace, estimate=solver.adaptive)
    dense = solver.dense(f, times[-2], states[-2][0], sizes[-1], step)
    return [*parts(states[-1]), *parts(recovered[0]), dense, *([step.error] if solver.adaptive else [])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
@every_method
def test_the_dtype_of_the_state_is_kept(solver: ReversibleSolver, dtype: torch.dtype) -> None:
    y0 = torch.ones(1, dtype=dtype)
    rate = 1j if dtype.is_complex else -0.1
    f = UserField.of(lambda t, y: rate * y, y0)
    times, states = forwards(solver, f, 0.0, y0, [0.05] * 20)
    assert {part.dtype for part in parts(states[-1])} == {dtype}
    assert states[-1][0].item() == pytest.approx(math.e**rate, rel=0.05)
    if rounding_factor(solver) < 1.01:
        assert distance(backwards(solver, f, times, [0.05] * 20, states[-1])[0], states[0]) < 1e-5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AsynchronousLeapfrog(eta=0.5), "alf: eta is 0.5, must lie in .* not be 1/2"),
        (lambda: AsynchronousLeapfrog(eta=1.1), "alf: eta is 1.1"),
        (lambda: ReversibleRungeKutta(SOLVERS["rk4"], coupling=0.0), "reversible_rk4: coupling is 0.0 and must lie"),
        (lambda: ReversibleRungeKutta(SOLVERS["rk4"], coupling=1.5), "reversible_rk4: coupling is 1.5 and must lie"),
    ],
)
def test_a_parameter_without_a_reversible_step_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
