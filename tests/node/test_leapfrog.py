"""The leapfrog: its order, its symplectic and reversible steps, its gradients, and the fields that it refuses."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import (
    SOLVERS,
    ContinuousAdjoint,
    Counted,
    Event,
    FixedGrid,
    FixedStep,
    PIDController,
    Solution,
    Status,
    solve,
)
from node.adjoint import Adjoint, Backprop, Checkpointed, InterpolatingAdjoint, Reversible
from node.models import MLP, Hamiltonian, SecondOrder
from node.user_field import UserField
from tests.support.gradients import relative_error, tensor
from tests.support.reversibles import pendulum, slope

pytestmark = pytest.mark.separable
LEAPFROG = SOLVERS["leapfrog"]
Y0 = tensor(1.5, 0.0, 0.3, 0.1, -2.0, 0.4).view(3, 2)
T = tensor(0.0, 0.35, 1.0)
EXACT = {"checkpointed": Checkpointed(), "budget 2": Checkpointed(2), "reversible": Reversible()}
every_exact_mode = pytest.mark.parametrize("mode", EXACT.values(), ids=EXACT)


class Swing(nn.Module):
    """A driven pendulum q' = p / mass, p' = -sin q + drive cos 3 t; the state is (q, p)."""

    def __init__(self) -> None:
        super().__init__()
        self.mass, self.drive = nn.Parameter(tensor(1.3)), nn.Parameter(tensor(0.4))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        q, p = y.chunk(2, dim=-1)
        return torch.cat((p / self.mass, self.drive * torch.cos(3 * t) - torch.sin(q)), dim=-1)


def solve_swing(t: Tensor = T, y0: Tensor = Y0, dt: float = 0.1, **how: object) -> Solution[Tensor]:
    return solve(how.pop("f", Swing()), y0, t, solver=LEAPFROG, controller=FixedStep(dt), **how)


def gradients(mode: Adjoint, **how: object) -> tuple[Tensor, ...]:
    f, y0 = Swing(), Y0.clone().requires_grad_()
    solution = solve_swing(y0=y0, f=f, gradient=mode, **how)
    loss = solution.y.square().sum() + (solution.dense(tensor(0.17, 0.8)).sum() if how.get("dense") else 0.0)
    return torch.autograd.grad(loss, (y0, *f.parameters()))


@pytest.mark.parametrize("t", [(0.0, 2.5), (2.5, 0.0)], ids=["forwards", "backwards"])
def test_the_order_is_two_at_the_end_and_within_steps(t: tuple[float, float]) -> None:
    """The field depends on time."""
    within = torch.linspace(*t, 12, dtype=torch.float64)
    true = solve(Swing(), Y0, within, solver="dopri8", controller=PIDController(rtol=1e-12, atol=1e-12)).y
    grid = (32, 64, 128)
    errors = [solve_swing(within, dt=2.5 / n).y - true for n in grid]
    assert slope([error[-1].norm().item() for error in errors], grid) == pytest.approx(2, abs=0.1)
    assert slope([error[1:-1].norm().item() for error in errors], grid) == pytest.approx(2, abs=0.2)


def test_a_step_of_the_linear_oscillator_is_that_of_verlet() -> None:
    """q1 = (1 - h^2/2) q + h p, p1 = (1 - h^2/2) p - h (1 - h^2/4) q."""
    h, y0 = 0.3, tensor(0.7, -0.4)
    y1 = solve(lambda t, y: torch.stack((y[1], -y[0])), y0, tensor(0.0, h), solver=LEAPFROG, controller=FixedStep(h)).y
    c = 1 - h * h / 2
    torch.testing.assert_close(y1[-1], tensor(c * 0.7 - h * 0.4, -c * 0.4 - h * (1 - h * h / 4) * 0.7))


def test_a_step_is_symplectic() -> None:
    """The Jacobian M of the step of two coupled pendulums satisfies M^T J M = J."""

    def coupled(t: Tensor, y: Tensor) -> Tensor:
        q, p = y.chunk(2)
        return torch.cat((p + 0.2 * p.flip(0), -torch.sin(q) - 0.5 * (q - q.flip(0))))

    def end(y: Tensor) -> Tensor:
        return solve(coupled, y, tensor(0.0, 0.9), solver=LEAPFROG, controller=FixedStep(0.3)).y[-1]

    m = torch.autograd.functional.jacobian(end, tensor(0.5, -1.0, 0.3, 0.8))
    eye, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    j = torch.cat((torch.cat((zero, eye), dim=1), torch.cat((-eye, zero), dim=1)))
    torch.testing.assert_close(m.T @ j @ m, j, rtol=0, atol=1e-14)
    assert not torch.allclose(m @ m.T, torch.eye(4, dtype=torch.float64), atol=0.1)


@pytest.mark.exhaustive
def test_the_energy_error_does_not_grow_from_a_hundred_to_ten_thousand_steps() -> None:
    """The energy error of rk4 with the same step size grows."""

    def largest_energy_error(name: str, steps: int) -> float:
        t = 0.4 * torch.arange(steps + 1, dtype=torch.float64)
        with torch.no_grad():
            q, p = solve(undriven_pendulum, tensor(1.5, 0.0), t, solver=name, controller=FixedStep(0.4)).y.unbind(-1)
        energy = p * p / 2 - torch.cos(q)
        return (energy - energy[0]).abs().max().item()

    assert largest_energy_error("leapfrog", 10_000) < 1.1 * largest_energy_error("leapfrog", 100)
    assert largest_energy_error("rk4", 10_000) > 20 * largest_energy_error("rk4", 100)
    assert largest_energy_error("rk4", 10_000) > 3 * largest_energy_error("leapfrog", 10_000)


def undriven_pendulum(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((y[1], -torch.sin(y[0])))


@pytest.mark.exhaustive
def test_ten_thousand_reversed_steps_lead_back_to_the_start() -> None:
    """The reversed steps start at the same times as the steps."""
    f, y, sizes = (
        UserField.of(pendulum, tensor(1.5, 0.0)),
        tensor(1.5, 0.0),
        [0.01 * (1 + i % 2) for i in range(10_000)],
    )
    workspace, t, times = LEAPFROG.workspace(y, record=False), 0.0, []
    carry = LEAPFROG.start(f, t, y)
    for dt in sizes:
        times.append(t)
        y, _, carry, _ = LEAPFROG.step(f, t, y, dt, carry, workspace, estimate=False)
        t += dt
    for t, dt in zip(reversed(times), reversed(sizes), strict=True):
        y, carry = LEAPFROG.reverse(f, t, y, dt, carry, workspace)
    torch.testing.assert_close(y, tensor(1.5, 0.0), rtol=0, atol=1e-10)


@pytest.mark.parametrize("batch", ["joint", "independent"])
@every_exact_mode
def test_exact_modes_give_backprops_gradient(mode: Adjoint, batch: str) -> None:
    assert relative_error(gradients(mode, batch=batch), gradients(Backprop(), batch=batch)) < 1e-12


@every_exact_mode
def test_gradients_pass_through_dense_output(mode: Adjoint) -> None:
    assert relative_error(gradients(mode, dense=True), gradients(Backprop(), dense=True)) < 1e-12


@pytest.mark.parametrize("mode", [Backprop(), *EXACT.values()], ids=["backprop", *EXACT])
def test_gradcheck_and_gradgradcheck_pass(mode: Adjoint) -> None:
    def states(y0: Tensor, w: Tensor) -> Tensor:
        def f(t: Tensor, y: Tensor) -> Tensor:
            return torch.stack((w * y[1], -torch.sin(w * y[0]) * torch.cos(t)))

        return solve_swing(y0=y0, f=f, gradient=mode, parameters=(w,), dt=0.2).y

    inputs = tensor(0.9, -0.4).requires_grad_(), torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(states, inputs)
    assert torch.autograd.gradgradcheck(states, inputs)


@pytest.mark.parametrize("name", ["adjoint", "interpolating"])
def test_an_adjoint_equation_needs_another_solver(name: str) -> None:
    kinds = {"adjoint": ContinuousAdjoint, "interpolating": InterpolatingAdjoint}
    mode = kinds[name](solver=SOLVERS["dopri5"], controller=PIDController(rtol=1e-8, atol=1e-8))
    assert relative_error(gradients(mode, dt=0.002), gradients(Backprop(), dt=0.002)) < 1e-5
    for solver, gradient in (("leapfrog", name), ("dopri5", kinds[name](solver=LEAPFROG))):
        with pytest.raises(ValueError, match=rf"^gradient='{name}': leapfrog solves separable .*SOLVERS\['dopri5'\]"):
            solve(Swing(), Y0, T, solver=solver, controller=FixedStep(0.1), gradient=gradient)


def test_forward_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^gradient='forward': leapfrog solves .*: take gradient='backprop'$"):
        solve_swing(gradient="forward")


def test_each_sample_with_its_own_times_is_solved_as_if_alone() -> None:
    times = T * tensor(1.0, 0.3, 2.0).unsqueeze(1)
    batch = solve_swing(times, batch="independent")
    for i, row in enumerate(times):
        torch.testing.assert_close(batch.y[:, i], solve_swing(row, Y0[i]).y, rtol=0, atol=1e-13)


def test_a_solve_across_a_jump_equals_two_solves() -> None:
    """The force changes its sign at t = 1/2."""
    f = Swing()

    def jumps(t: Tensor, y: Tensor) -> Tensor:
        q, p = f(t, y).chunk(2, dim=-1)
        return torch.cat((q, p if t < 0.5 else -p), dim=-1)

    def end(f: Callable[[Tensor, Tensor], Tensor], y0: Tensor, *t: float) -> Tensor:
        grid = FixedGrid((0.25, 0.5, 0.75), one_sided=True)
        return solve(f, y0, tensor(*t), solver=LEAPFROG, controller=grid).y[-1]

    half = end(f, Y0, 0.0, 0.5)
    after = end(lambda t, y: torch.cat((f(t, y).chunk(2, -1)[0], -f(t, y).chunk(2, -1)[1]), -1), half, 0.5, 1.0)
    torch.testing.assert_close(end(jumps, Y0, 0.0, 1.0), after)


def test_tuple_complex_and_float32_states_equal_the_real_state() -> None:
    def pair(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return tuple(Swing()(t, torch.cat(y, dim=-1)).chunk(2, dim=-1))

    q, p = solve_swing(f=pair, y0=tuple(Y0.chunk(2, dim=-1))).y
    torch.testing.assert_close(torch.cat((q, p), dim=-1), solve_swing().y)
    complex_y = solve_swing(f=lambda t, y: torch.cat((y[..., 1:], -y[..., :1]), -1), y0=torch.complex(Y0, 2 * Y0)).y
    real = solve_swing(f=lambda t, y: torch.cat((y[..., 1:], -y[..., :1]), -1), y0=Y0).y
    torch.testing.assert_close(complex_y, torch.complex(real, 2 * real))
    single = solve_swing(y0=Y0.float(), f=Swing().float()).y
    torch.testing.assert_close(single.double(), solve_swing().y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("f", [Hamiltonian, SecondOrder], ids=lambda kind: kind.__name__)
def test_separable_hamiltonian_and_second_order_models_are_solved_and_others_refused(f: type[nn.Module]) -> None:
    """An energy T(p) + V(q) and an acceleration a(q) are separable; a net of the whole state is not."""
    torch.manual_seed(0)
    inner = {
        Hamiltonian: lambda t, y: y[..., 1:] ** 2 / 2 - torch.cos(y[..., :1]),
        SecondOrder: lambda t, y: -torch.sin(y[..., :1]),
    }[f]
    torch.testing.assert_close(solve_swing(f=f(inner)).y, solve_swing(f=lambda t, y: undriven_pendulum(t, y.T).T).y)
    whole = MLP(2, width=8, out=1).double()
    with pytest.raises(ValueError, match=r"^leapfrog solves .* depends on .* itself: take another solver"):
        solve_swing(f=f(whole))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("entry", "named"), [(0, "q'"), (1, "p'")])
@pytest.mark.parametrize("batch", ["joint", "independent"])
def test_a_field_that_is_not_separable_is_refused(batch: str, entry: int, named: str, dtype: torch.dtype) -> None:
    """A friction of 1e-3 in a single sample is detected."""

    def damped(t: Tensor, y: Tensor) -> Tensor:
        friction = torch.zeros_like(y)
        friction[1, entry] = 1e-3 * y[1, entry]
        return torch.stack((y[:, 1], -torch.sin(y[:, 0])), dim=-1) - friction

    with pytest.raises(ValueError, match=f"^leapfrog solves .* here {named} depends on {named[0]} itself: ") as refused:
        solve_swing(f=damped, y0=Y0.to(dtype), batch=batch)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("y0", "batch"),
    [
        (tensor(1.0), "joint"),
        (torch.tensor(1.0), "joint"),
        (torch.ones(2, 3), "joint"),
        (torch.ones(4), "independent"),
        ((torch.ones(2), torch.ones(3)), "joint"),
        ((torch.ones(2),) * 3, "joint"),
    ],
    ids=str,
)
def test_a_state_that_cannot_be_halved_is_refused(y0: Tensor | tuple[Tensor, ...], batch: str) -> None:
    with pytest.raises(ValueError, match=r"^leapfrog solves positions and momenta, and y0 of shape.*\(q, p\)"):
        solve_swing(y0=y0, batch=batch)


def test_an_adaptive_controller_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^leapfrog gives no error estimate"):
        solve(Swing(), Y0, T, solver=LEAPFROG, controller=PIDController(rtol=1e-3, atol=1e-3))


def test_a_step_costs_two_calls_and_a_solve_three_checks_and_one_call_to_start() -> None:
    field = Counted(Swing())
    stats = solve_swing(tensor(0.0, 1.0), f=field).stats
    assert stats.nfe_forward == field.calls == 3 + 1 + 2 * 10


def test_a_solve_stops_at_an_event_whose_time_has_a_gradient() -> None:
    """y'' = -y from (1, 0) is zero at t = pi / 2."""
    y0 = tensor(1.0, 0.0).requires_grad_()
    event = Event(lambda t, y: y[0])
    solution = solve_swing(tensor(0.0, 3.0), y0, f=lambda t, y: torch.stack((y[1], -y[0])), dt=0.01, event=event)
    assert solution.status is Status.event
    assert solution.event.t.item() == pytest.approx(math.pi / 2, abs=1e-4)
    (found,) = torch.autograd.grad(solution.event.t, y0)
    torch.testing.assert_close(found, tensor(0.0, 1.0), rtol=1e-3, atol=1e-3)


def test_a_field_that_becomes_nan_ends_in_non_finite() -> None:
    solution = solve_swing(
        tensor(0.0, 1.0, 3.0), f=lambda t, y: undriven_pendulum(t, y.T).T * (1.0 if t < 2 else math.nan)
    )
    assert solution.status is Status.non_finite
    assert solution.y[1].isfinite().all()
    assert solution.y[2].isnan().all()
