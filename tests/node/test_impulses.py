"""Backward solves that spread the jumps at many outputs over longer steps: cheap, and as exact as landing on them."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, ContinuousAdjoint, FixedStep, PIDController, SolveError, Status, solve
from node.adjoint import InterpolatingAdjoint
from tests.support.gradients import Growth, Net, Spiral, mean_abs, relative_error, tensor

SPREAD = {"adjoint": ContinuousAdjoint(), "interpolating": InterpolatingAdjoint()}
LAND = {"adjoint": ContinuousAdjoint(outputs="land"), "interpolating": InterpolatingAdjoint(outputs="land")}
every_mode = pytest.mark.parametrize("mode", SPREAD)


def regular(t_end: float, n: int) -> Tensor:
    return torch.linspace(0, t_end, n, dtype=torch.float64)


def irregular(t_end: float, n: int) -> Tensor:
    inside = torch.rand(n - 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).sort().values
    return torch.cat((tensor(0.0), inside, tensor(1.0))) * t_end


def gradient(f: nn.Module, y0: Tensor, t: Tensor, mode: object, name: str, tolerance: float) -> tuple[Tensor, ...]:
    return gradient_and_cost(f, y0, t, mode, name, tolerance)[0]


def gradient_and_cost(
    f: nn.Module, y0: Tensor, t: Tensor, mode: object, name: str, tolerance: float
) -> tuple[tuple[Tensor, ...], int]:
    y0 = y0.clone().requires_grad_()
    controller = PIDController(rtol=tolerance, atol=tolerance)
    solution = solve(f, y0, t, solver=name, controller=controller, gradient=mode).require_success()
    used = [p for p in f.parameters() if p.requires_grad and p is not getattr(f, "unused", None)]
    return torch.autograd.grad(mean_abs(solution.y), (y0, *used)), solution.stats.nfe_backward


FIELDS: dict[str, tuple[Callable[[], nn.Module], Tensor, float]] = {
    "spiral": (Spiral, tensor(2.0, 0.0), 1.5),
    "growth": (Growth, tensor(1.3), 3.0),
    "net": (Net, torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3), 2.0),
}
TIMES = {"regular": regular, "irregular": irregular}


@pytest.fixture(scope="module")
def true_gradients() -> dict[tuple[str, str], tuple[Tensor, ...]]:
    return {
        (field, times): gradient(make(), y0, TIMES[times](t_end, 101), "backprop", "dopri8", 1e-12)
        for (field, (make, y0, t_end)), times in itertools.product(FIELDS.items(), TIMES)
    }


@pytest.mark.exhaustive
@every_mode
@pytest.mark.parametrize(("n", "factor"), [(11, 1.3), (101, 1.3), (1001, 2.0)])
def test_a_thousand_outputs_cost_at_most_twice_as_much_as_two(n: int, factor: float, mode: str) -> None:
    costs = [gradient_and_cost(Spiral(), tensor(2.0, 0.0), regular(1.5, m), mode, "dopri5", 1e-5)[1] for m in (2, n)]
    assert costs[1] <= factor * costs[0]


@pytest.mark.exhaustive
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("bosh3", "irregular"),
        ("dopri5", "regular"),
        ("dopri5", "irregular"),
        ("tsit5", "irregular"),
        ("dopri8", "regular"),
    ],
)
def test_spread_outputs_have_an_error_that_falls_with_the_tolerance_as_with_landing(
    name: str, times: str, field: str, true_gradients: dict[tuple[str, str], tuple[Tensor, ...]]
) -> None:
    """The error is at most 3 times that of landing on each output, which takes up to 20 times as many steps."""
    make, y0, t_end = FIELDS[field]
    t, true, (loose, tight) = TIMES[times](t_end, 101), true_gradients[field, times], (1e-4, 1e-7)
    landing = relative_error(gradient(make(), y0, t, LAND["adjoint"], name, tight), true)
    for mode in SPREAD.values():
        first, last = (relative_error(gradient(make(), y0, t, mode, name, x), true) for x in (loose, tight))
        assert last < max(3 * landing, 20 * tight)
        assert last < max(first * (tight / loose) ** 0.6, 10 * tight)


@every_mode
def test_steps_end_on_outputs_that_are_a_few_steps_apart(mode: str) -> None:
    t = regular(1.5, 6)
    spread, landed = (
        gradient_and_cost(Spiral(), tensor(2.0, 0.0), t, kind[mode], "dopri5", 1e-7) for kind in (SPREAD, LAND)
    )
    assert spread[1] == landed[1]
    torch.testing.assert_close(spread[0], landed[0], rtol=1e-14, atol=0)


@pytest.mark.exhaustive
@every_mode
def test_with_land_steps_end_on_each_output_once(mode: str) -> None:
    """This holds also where the next step would end exactly at the start time, with outputs before it."""
    times: list[float] = []

    class Seen(Spiral):
        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            times.append(t.item())
            return super().forward(t, y)

    t, f, y0 = regular(1.5, 1001), Seen(), tensor(2.0, 0.0).requires_grad_()
    y = solve(f, y0, t, solver="bosh3", controller=PIDController(rtol=1e-3, atol=1e-3), gradient=LAND[mode]).y
    times.clear()
    y.abs().mean().backward()
    assert set(t.tolist()) <= set(times)
    within_solve = times[3:]  # after one that checks that f is unchanged, and two for the first step
    latest = itertools.accumulate(within_solve, min)
    assert all(now < before + 2e-3 for now, before in zip(within_solve, latest, strict=True))


@pytest.mark.exhaustive
@every_mode
def test_a_field_that_contracts_does_not_blow_up_backwards(mode: str) -> None:
    """y' = -k y, k = 20, T = 3: backwards errors grow by exp(60); sum y = y0 sum exp(-k t)."""

    class Decay(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k = nn.Parameter(torch.tensor(20.0, dtype=torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -self.k * y

    f, y0 = Decay(), tensor(1.0).requires_grad_()
    for n in (101, 1001):
        t = regular(3.0, n)
        y = solve(f, y0, t, solver="dopri5", controller=PIDController(rtol=1e-7, atol=1e-7), gradient=mode).y
        found, decay = torch.autograd.grad(y.sum(), (y0, f.k)), torch.exp(-20 * t)
        assert found[0].item() == pytest.approx(decay.sum().item(), rel=1e-5)
        assert found[1].item() == pytest.approx(-(t * decay).sum().item(), rel=1e-4)


def gradient_errors(t: Tensor, weights: Tensor, mode: object, **how: object) -> tuple[Tensor, ...]:
    """The relative errors of the gradients, in z0 and alpha, of a weighted sum of z(t) = z0 exp(alpha (t - t[0]))."""
    f, z0 = Growth().to(t.dtype), torch.tensor(1.3, dtype=t.dtype, requires_grad=True)
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-8, atol=1e-8), **how}
    z = solve(f, z0, t, gradient=mode, **how).y
    found = torch.autograd.grad((weights * z).sum(), (z0, f.alpha))
    exact = z0 * torch.exp(f.alpha * (t - t[0]))
    true = torch.autograd.grad((weights * exact).sum(), (z0, f.alpha))
    return tuple((a / b - 1).abs() for a, b in zip(found, true, strict=True))


@every_mode
@pytest.mark.parametrize("i", [0, 1, 37, 99, 100])
def test_a_loss_on_one_of_many_outputs_has_its_gradient(i: int, mode: str) -> None:
    t = regular(2.0, 101)
    weights = torch.zeros(101, dtype=torch.float64)
    weights[i] = 1.0
    z0 = tensor(1.3).requires_grad_()
    f = Growth()
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-8, atol=1e-8), "gradient": mode}
    z = solve(f, z0, t, **how).y
    found = torch.autograd.grad((weights * z.squeeze(1)).sum(), (z0, f.alpha))
    growth = torch.exp(0.7 * t[i])
    torch.testing.assert_close(found[0], growth.reshape(1), rtol=1e-7, atol=0)
    torch.testing.assert_close(found[1], 1.3 * t[i] * growth, rtol=1e-7, atol=1e-9)


@every_mode
@pytest.mark.parametrize("kind", ["spread", "land"])
def test_outputs_may_be_very_close_to_each_other_and_to_the_ends(kind: str, mode: str) -> None:
    near = 1e-9
    t = tensor(0.0, near, 2 * near, 0.5, 0.5 + near, 0.5 + 2 * near, 0.5 + 1e-15, 1.0 - near, 1.0).unique()
    weights = torch.linspace(0.5, 1.5, len(t), dtype=torch.float64)
    assert max(gradient_errors(t, weights, {"spread": SPREAD, "land": LAND}[kind][mode])) < 1e-7


@every_mode
def test_many_outputs_backwards_in_time_have_their_gradients(mode: str) -> None:
    weights = torch.linspace(0.5, 1.5, 101, dtype=torch.float64)
    assert max(gradient_errors(regular(2.0, 101).flip(0), weights, mode)) < 1e-7


@every_mode
def test_float32_is_right_to_single_precision(mode: str) -> None:
    controller = PIDController(rtol=1e-5, atol=1e-5)
    assert max(gradient_errors(regular(2.0, 101).float(), torch.ones(101), mode, controller=controller)) < 1e-4


@every_mode
@pytest.mark.parametrize("solver", ["bosh3", "rodas4", "rodas5p", "implicit_euler", "abm4", "reversible_dopri5"])
def test_other_kinds_of_solvers_take_many_outputs(solver: str, mode: str) -> None:
    """Rosenbrock methods differentiate the forcing in time; fixed-step and multistep solvers land on each output."""
    tolerance = {"implicit_euler": 1e-4}.get(solver, 1e-7)
    controller = PIDController(rtol=tolerance, atol=tolerance) if SOLVERS[solver].adaptive else FixedStep(0.01)
    weights = torch.linspace(0.5, 1.5, 41, dtype=torch.float64)
    errors = gradient_errors(regular(1.0, 41), weights, mode, solver=solver, controller=controller)
    assert max(errors) < (2e-2 if solver == "implicit_euler" else 1e-5)


@every_mode
def test_a_tuple_and_a_complex_state_take_many_outputs(mode: str) -> None:
    """The complex state y' = i w y, and the tuple (x' = -w x, z' = cos(t) x)."""
    w = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    t, controller = regular(2.0, 101), PIDController(rtol=1e-9, atol=1e-9)
    y0 = torch.tensor([1 + 0.5j, -0.3 + 2j], dtype=torch.complex128, requires_grad=True)
    x0 = tensor(1.0, 2.0, 3.0).requires_grad_()
    how = {"solver": "dopri5", "controller": controller, "gradient": mode, "parameters": (w,)}
    y = solve(lambda t, y: 1j * w * y, y0, t, **how).y
    exact = y0 * torch.exp(1j * w * t.unsqueeze(1))
    found, true = (torch.autograd.grad((z.real * z.imag).sum() + z[50].abs().sum(), (y0, w)) for z in (y, exact))
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-7)

    a, b = solve(lambda t, z: (-w * z[0], torch.cos(t) * z[0][:1]), (x0, tensor(0.5)), t, **how).y
    decay = torch.exp(-w * t).unsqueeze(1)
    turned = (w + torch.exp(-w * t) * (torch.sin(t) - w * torch.cos(t))) / (1 + w**2)
    losses = (
        (a.square().sum() + b.square().sum()),
        ((x0 * decay).square().sum() + (0.5 + x0[0] * turned).square().sum()),
    )
    found, true = (torch.autograd.grad(loss, (x0, w)) for loss in losses)
    torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-7)


@every_mode
def test_fixed_steps_land_on_outputs_off_their_grid(mode: str) -> None:
    """Landing on them keeps the order of rk4."""
    t, weights = irregular(1.0, 8), torch.linspace(0.5, 1.5, 8, dtype=torch.float64)
    errors = [
        max(gradient_errors(t, weights, mode, solver="rk4", controller=FixedStep(dt))).item() for dt in (1 / 16, 1 / 32)
    ]
    assert errors[1] < errors[0] / 2**3.5


@every_mode
def test_after_a_forward_failure_the_outputs_that_were_reached_have_their_gradient(mode: str) -> None:
    """y' = y^2, y0 = 1 has a pole at t = 1: y = y0 / (1 - y0 t)."""
    y0, t = tensor(1.0).requires_grad_(), torch.cat((regular(0.9, 10), tensor(1.5, 2.0)))
    controller = PIDController(rtol=1e-8, atol=1e-8)
    how = {"solver": "dopri5", "controller": controller, "gradient": mode, "parameters": ()}
    solution = solve(lambda t, y: y**2, y0, t, **how)
    assert solution.status.failed
    (found,) = torch.autograd.grad(solution.y[:10].sum(), y0)
    torch.testing.assert_close(found, (1 / (1 - t[:10]) ** 2).sum().reshape(1), rtol=1e-5, atol=0)
    assert solution.stats.status_backward is Status.success


@every_mode
def test_where_only_the_start_was_reached_its_gradient_is_the_identity(mode: str) -> None:
    y0 = tensor(1.0).requires_grad_()
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-6, atol=1e-6), "gradient": mode, "parameters": ()}
    solution = solve(lambda t, y: y * math.nan, y0, tensor(0.0, 1.0), **how)
    assert torch.autograd.grad(3 * solution.y[0].sum(), y0)[0].item() == 3.0


@every_mode
def test_the_status_of_the_backward_solve_is_in_the_stats(mode: str) -> None:
    f, y0, t = Spiral(), tensor(2.0, 0.0).requires_grad_(), regular(1.5, 11)
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-6, atol=1e-6)}
    solution = solve(f, y0, t, gradient=mode, **how)
    assert solution.stats.status_backward is None
    solution.y.sum().backward()
    assert solution.stats.status_backward is Status.success
    few = {"adjoint": ContinuousAdjoint, "interpolating": InterpolatingAdjoint}[mode](max_steps=5)
    solution = solve(f, y0, t, gradient=few, **how)
    with pytest.raises(SolveError, match=rf"^{mode}: the backward solve stopped at t=.*: max_steps: .*raise max_steps"):
        solution.y.sum().backward()
    assert solution.stats.status_backward is Status.max_steps


@every_mode
@pytest.mark.parametrize("controller", [PIDController(rtol=1e-6, atol=1e-6), FixedStep(0.1)], ids=["adaptive", "fixed"])
def test_a_gradient_that_is_not_finite_raises_or_warns_if_it_is_that_of_the_loss(controller: object, mode: str) -> None:
    class Root(nn.Module):
        """y' = p sqrt(y), p = 0: y is constant, and the derivative in y at 0 is infinite or NaN."""

        def __init__(self) -> None:
            super().__init__()
            self.p = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.p * y.sqrt()

    y0, t = tensor(0.0, 1.0).requires_grad_(), tensor(0.0, 0.5, 1.0)
    solution = solve(Root(), y0, t, solver="dopri5", controller=controller, gradient=mode)
    with pytest.raises(SolveError, match=f"^{mode}: the backward solve stopped at t=.*: non_finite"):
        solution.y[-1].sum().backward()
    assert solution.stats.status_backward is Status.non_finite
    assert y0.grad is None

    solution = solve(Growth(), y0, t, solver="dopri5", controller=controller, gradient=mode)
    with pytest.warns(RuntimeWarning, match=f"^{mode}: the loss has a gradient to the states that is not finite"):
        (found,) = torch.autograd.grad(solution.y[-1].sum() * math.nan, y0)
    assert found.isnan().all()
    assert solution.stats.status_backward is Status.non_finite
