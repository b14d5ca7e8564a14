"""Gradients in the output times, the start time included: their values, orders, dtypes and counted evaluations."""

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, FixedStep, PIDController, solve

every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
HOW = {
    "adaptive": {"solver": "dopri5", "controller": PIDController(rtol=1e-9, atol=1e-9)},
    "fixed": {"solver": "rk4", "controller": FixedStep(dt=0.01)},
}
every_controller = pytest.mark.parametrize("how", HOW.values(), ids=HOW)


class Growth(nn.Module):
    """y' = rate y cos t, so that y(t) = y0 exp(rate (sin t - sin t0))."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * y * torch.cos(t)

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        return y0 * torch.exp(self.rate * (t.sin() - t[0].sin())).unsqueeze(1)


@every_gradient
@every_controller
@pytest.mark.parametrize("times", [[0.2, 0.5, 1.3, 2.0], [2.0, 1.0, 0.3]], ids=["forwards", "backwards"])
def test_gradients_in_times_states_and_parameters_are_those_of_the_exact_solution(
    how: dict[str, object], times: list[float], gradient: str
) -> None:
    field = Growth()
    y0 = torch.tensor([1.0, -0.7], dtype=torch.float64, requires_grad=True)
    t = torch.tensor(times, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(-1, 1, 2 * len(times), dtype=torch.float64).view(-1, 2)
    solution = solve(field, y0, t, gradient=gradient, **how).require_success()
    of_solve = torch.autograd.grad((weights * solution.y).sum(), (t, y0, field.rate))
    of_exact = torch.autograd.grad((weights * field.exact(y0, t)).sum(), (t, y0, field.rate))
    torch.testing.assert_close(of_solve, of_exact, rtol=1e-6, atol=1e-7)


@every_gradient
def test_the_evaluations_for_times_are_counted(gradient: str) -> None:
    """One evaluation at the start and one for each output."""
    field, y0 = Growth(), torch.ones(1, dtype=torch.float64)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    plain = solve(field, y0, t, gradient=gradient, **HOW["fixed"])
    in_time = solve(field, y0, t.clone().requires_grad_(), gradient=gradient, **HOW["fixed"])
    assert in_time.stats.nfe_forward == plain.stats.nfe_forward + 1 + len(t)
    torch.testing.assert_close(in_time.y, plain.y)


def derivatives(value: Tensor, inputs: tuple[Tensor, ...], order: int) -> list[Tensor]:
    """All first derivatives of the value, then those of a weighted sum of them, and so on up to this order."""
    found = []
    for _ in range(order):
        of_inputs = torch.autograd.grad(value, inputs, create_graph=True)
        flat = torch.cat([x.reshape(-1) for x in of_inputs])
        found.append(flat.detach())
        value = (torch.linspace(0.4, 1.3, len(flat), dtype=flat.dtype) * flat).sum()
    return found


class Driven(nn.Module):
    """y' = r y^2 cos t, so that 1 / y = 1 / y0 - r (sin t - sin t0); t may be a column of times."""

    def __init__(self) -> None:
        super().__init__()
        self.r = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.r * y**2 * torch.cos(t)

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        return 1 / (1 / y0 - self.r * (t.sin() - t[0].sin()))


EXACT = {
    "adaptive": {"solver": "dopri8", "controller": PIDController(rtol=1e-11, atol=1e-12)},
    "fixed": {"solver": "dopri8", "controller": FixedStep(dt=0.25)},
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", ["backprop", "checkpointed"])
@pytest.mark.parametrize("how", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("times", [[0.2, 0.5, 0.9], [0.9, 0.4, 0.1]], ids=["forwards", "backwards"])
def test_derivatives_to_the_fourth_order_are_those_of_the_exact_solution(
    how: dict[str, object], times: list[float], gradient: str
) -> None:
    """The derivatives are in times, states and parameters; a fifth derivative that involves a time is refused."""
    field, t = Driven(), torch.tensor(times, dtype=torch.float64, requires_grad=True)
    y0 = torch.tensor([0.5, -0.7], dtype=torch.float64, requires_grad=True)
    inputs, weights = (t, y0, field.r), torch.linspace(-1, 1, 6, dtype=torch.float64).view(3, 2)
    solved = (weights * solve(field, y0, t, gradient=gradient, **how).y ** 2).sum()
    exact = (weights * field.exact(y0, t.unsqueeze(1)) ** 2).sum()
    for one, other in zip(derivatives(solved, inputs, 4), derivatives(exact, inputs, 4), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    with pytest.raises(RuntimeError, match=r"of order 5 that involves an output time or an event: .*t.detach\(\)"):
        derivatives(solved, inputs, 5)


class Decay(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-0.7, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.a * y


@every_gradient
def test_the_slope_at_an_output_can_be_differentiated_in_every_mode(gradient: str) -> None:
    """d2y/dt da = (1 + a) e^a = 0.14898 at t = 1, y0 = 1, a = -0.7.

    In the start time it is a second derivative of the solve, which forward mode refuses.
    """
    field, t = Decay(), torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    solver = "reversible_dopri5" if gradient == "reversible" else "dopri5"
    y = solve(field, torch.ones(1, dtype=torch.float64), t, gradient=gradient, **HOW["adaptive"] | {"solver": solver}).y
    (of_t,) = torch.autograd.grad(y[-1].sum(), t, create_graph=True)
    (mixed,) = torch.autograd.grad(of_t[-1], field.a, retain_graph=True)
    assert mixed.item() == pytest.approx(0.14897559, abs=1e-6)
    if gradient == "forward":
        with pytest.raises(RuntimeError, match=f"{gradient} gives first derivatives only"):
            torch.autograd.grad(of_t[0], field.a)


@pytest.mark.parametrize("per_sample", [False, True], ids=["one t", "a t for each"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpointed"])
def test_per_sample_stepping_has_second_derivatives_in_times(gradient: str, per_sample: bool) -> None:
    field = Driven()
    y0 = torch.tensor([[0.5], [-0.7]], dtype=torch.float64, requires_grad=True)
    times = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    t = (torch.stack((times, times + 0.1)) if per_sample else times).requires_grad_()
    columns = t.t().unsqueeze(2) if per_sample else t.view(-1, 1, 1)
    solved = solve(field, y0, t, gradient=gradient, batch="independent", **EXACT["adaptive"]).y
    inputs = (t, y0, field.r)
    found, exact = (derivatives((y**2).sum(), inputs, 2) for y in (solved, field.exact(y0, columns)))
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gradient", ["backprop", "checkpointed"])
def test_a_tuple_of_complex_states_has_derivatives_in_times_to_the_third_order(gradient: str) -> None:
    """z' = i w t z, u' = w u: z = z0 exp(i w (t^2 - t0^2) / 2), u = u0 exp(w (t - t0))."""
    w = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))
    t = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)
    start = torch.tensor([0.5 + 0.3j], requires_grad=True, dtype=torch.complex128)

    class Rotation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = w

        def forward(self, t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return 1j * self.w * t * y[0], self.w * y[1]

    z, u = solve(Rotation(), (start, start), t, gradient=gradient, **EXACT["adaptive"]).y
    true = (
        start * torch.exp(0.5j * w * (t**2 - t[0] ** 2)).unsqueeze(1),
        start * torch.exp(w * (t - t[0]) + 0j).unsqueeze(1),
    )
    found, exact = (derivatives((a.real * b.imag).sum() + a.imag.square().sum(), (t, w), 3) for a, b in ((z, u), true))
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6)


def test_gradients_in_times_have_the_dtype_of_the_times() -> None:
    field, t = Driven().float(), torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)
    y0 = torch.tensor([0.5], requires_grad=True)
    found, exact = (
        derivatives(y.sum().double(), (t,), 2)
        for y in (solve(field, y0, t, **EXACT["fixed"]).y, field.exact(y0, t.unsqueeze(1)))
    )
    assert found[0].dtype == torch.float64
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)
