"""Second derivatives by the continuous adjoints equal those of backprop, to the tolerance."""

import pytest
import torch
from torch import Tensor, nn

from node import Event, PIDController, solve
from tests.support.gradients import Net, tensor

T = tensor(0.0, 0.4, 1.0)
TIGHT = PIDController(rtol=1e-9, atol=1e-10)
every_continuous_mode = pytest.mark.parametrize("gradient", ["adjoint", "interpolating"])


class FieldWithStart(nn.Module):
    """A field whose start, a real or complex tensor or a tuple, depends on one of its parameters."""

    def __init__(self, state: str):
        super().__init__()
        self.net = Net()
        self.scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.state = state

    def start(self) -> Tensor | tuple[Tensor, ...]:
        y0 = tensor(0.4, -0.3, 0.2) * self.scale
        if self.state == "tuple":
            return y0, y0[:2] ** 2
        return torch.complex(y0, 2 * y0) if self.state == "complex" else y0

    def forward(self, t: Tensor, y: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(y, tuple):
            return self.net(t, y[0]), self.scale * y[0][:2] * y[1]
        if y.is_complex():
            return torch.complex(self.net(t, y.real), -self.net(t, y.imag) * y.real)
        return self.net(t, y) * self.scale

    def parts(self, y: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
        return [torch.view_as_real(x) if x.is_complex() else x for x in (y if isinstance(y, tuple) else (y,))]


def second_derivatives(gradient: str, state: str, times: Tensor) -> list[Tensor]:
    f = FieldWithStart(state)
    y = solve(f, f.start(), times, solver="dopri5", controller=TIGHT, gradient=gradient).y
    loss = sum(part[1].pow(3).sum() + part[-1].square().sum() for part in f.parts(y))
    inputs = (f.net.inner, f.net.outer, f.scale)
    first = torch.autograd.grad(loss, inputs, create_graph=True)
    return list(torch.autograd.grad(sum(g.square().sum() for g in first), inputs))


@every_continuous_mode
@pytest.mark.parametrize("times", [T, 1 - T], ids=["forwards", "backwards"])
@pytest.mark.parametrize("state", ["real", "complex", "tuple"])
def test_second_derivatives_equal_those_of_backprop(gradient: str, state: str, times: Tensor) -> None:
    found, true = (second_derivatives(mode, state, times) for mode in (gradient, "backprop"))
    for one, other in zip(found, true, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()))


@every_continuous_mode
def test_third_derivatives_are_those_of_the_formula(gradient: str) -> None:
    """y = y0 exp(a t): the third derivative in a is t^3 y."""
    a = tensor(-0.7).requires_grad_()
    y = solve(lambda t, y: a * y, tensor(2.0), T, solver="dopri5", controller=TIGHT, gradient=gradient).y[-1]
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), a, create_graph=True)
    assert y.item() == pytest.approx(2 * torch.tensor(-0.7, dtype=torch.float64).exp().item(), rel=1e-6)


@every_continuous_mode
def test_the_second_derivative_of_an_events_time_is_that_of_the_formula(gradient: str) -> None:
    """y' = a y, y0 = 1 reaches 2 at t* = ln(2) / a; its second derivative at a = 0.7 is 2 ln(2) / a^3 = 4.042."""
    a = tensor(0.7).requires_grad_()
    event = solve(
        lambda t, y: a * y,
        tensor(1.0),
        tensor(0.0, 5.0),
        solver="dopri5",
        controller=TIGHT,
        gradient=gradient,
        event=Event(lambda t, y: y - 2),
    ).event
    (first,) = torch.autograd.grad(event.t, a, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), a)
    assert second.item() == pytest.approx(4.042, abs=1e-3)


@every_continuous_mode
def test_a_tensor_computed_outside_of_the_field_has_first_derivatives_only(gradient: str) -> None:
    w = tensor(0.3).requires_grad_()
    rate = torch.exp(w)
    y = solve(lambda t, y: -rate * y, tensor(2.0), T, solver="dopri5", controller=TIGHT, gradient=gradient).y[-1]
    (first,) = torch.autograd.grad(y.sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match=f"{gradient} gives first derivatives only"):
        torch.autograd.grad(first.sum(), w)
