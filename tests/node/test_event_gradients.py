"""Derivatives of an event's time and state: of higher orders, through chains of events, and where they are refused."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import Event, FixedStep, PIDController, solve
from tests.support.gradients import Growth, every_gradient, tensor

HOW = {
    "adaptive": {"solver": "dopri8", "controller": PIDController(rtol=1e-11, atol=1e-12)},
    "fixed": {"solver": "dopri8", "controller": FixedStep(dt=0.25)},
}
every_controller = pytest.mark.parametrize("how", HOW.values(), ids=HOW)
every_mode_with_higher_derivatives = pytest.mark.parametrize("gradient", ["backprop", "checkpointed"])
close = torch.testing.assert_close


def derivatives(value: Tensor, inputs: tuple[Tensor, ...], order: int) -> list[Tensor]:
    """All first derivatives of the value, then those of a weighted sum of them, and so on up to this order."""
    found = []
    for _ in range(order):
        of_inputs = torch.autograd.grad(value, inputs, create_graph=True)
        flat = torch.cat([x.reshape(-1) for x in of_inputs])
        found.append(flat.detach())
        value = (torch.linspace(0.4, 1.3, len(flat), dtype=torch.float64) * flat).sum()
    return found


@every_mode_with_higher_derivatives
@every_controller
def test_the_second_derivatives_of_an_events_time_are_those_of_the_formula(
    how: dict[str, object], gradient: str
) -> None:
    """z' = a z reaches 2 at t* = ln(2 / z0) / a; at a = 0.7, z0 = 1 the three are 4.042, 2.041 and 1.429."""
    field, z0 = Growth(), tensor(1.0).requires_grad_()
    event = solve(field, z0, tensor(0.0, 5.0), event=Event(lambda t, z: z - 2), gradient=gradient, **how).event
    of_a, of_z0 = torch.autograd.grad(event.t, (field.alpha, z0), create_graph=True)
    aa, a_z0 = torch.autograd.grad(of_a, (field.alpha, z0), retain_graph=True)
    z0_a, z0_z0 = torch.autograd.grad(of_z0.sum(), (field.alpha, z0))
    a = 0.7
    close(aa.item(), 2 * math.log(2) / a**3, rtol=0, atol=1e-7)
    close([a_z0.item(), z0_a.item()], [1 / a**2] * 2, rtol=0, atol=1e-7)
    close(z0_z0.item(), 1 / a, rtol=0, atol=1e-7)


class Driven(nn.Module):
    """y' = r y^2 cos t, so that 1 / y = 1 / y0 - r (sin t - sin t0)."""

    def __init__(self) -> None:
        super().__init__()
        self.r = nn.Parameter(tensor(0.8)[0])

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.r * y**2 * torch.cos(t)


@pytest.mark.exhaustive
@every_mode_with_higher_derivatives
@every_controller
@pytest.mark.parametrize("t0", [0.1, 1.2], ids=["forwards", "backwards"])
def test_derivatives_of_an_events_time_and_state_are_exact_to_the_fourth_order(
    how: dict[str, object], gradient: str, t0: float
) -> None:
    """g = y - c e^t + const; in y0, t0, the parameter r of the field and the parameter c of g."""
    field, c = Driven(), tensor(-0.2).requires_grad_()
    y0, t = tensor(0.6).requires_grad_(), tensor(t0, 1.4 - t0).requires_grad_()
    there = 0.9 if t0 < 0.5 else 0.4
    level = [0.0]

    def y_at(time: Tensor) -> Tensor:
        return 1 / (1 / y0 - field.r * (time.sin() - t[0].sin()))

    def g(time: Tensor, y: Tensor) -> Tensor:
        return y - c * time.exp() - level[0]

    level[0] = g(tensor(there), y_at(tensor(there))).item()
    event = solve(field, y0, t, event=Event(g), gradient=gradient, **how).event
    exact = tensor(there)
    for _ in range(6):  # Newton's steps, each of which doubles the order of the derivatives that are right
        rate = field.r * y_at(exact) ** 2 * exact.cos() - c * exact.exp()
        exact = exact - g(exact, y_at(exact)) / rate
    close(event.t, exact[0], rtol=0, atol=1e-9)
    inputs = (y0, field.r, c)
    for found, true in ((event.t, exact.sum()), (event.y.sum(), y_at(exact).sum())):
        for one, other in zip(derivatives(found, inputs, 4), derivatives(true, inputs, 4), strict=True):
            close(one, other, rtol=1e-5, atol=1e-6)
    of_t = [torch.autograd.grad(x, t, retain_graph=True)[0][0] for x in (event.t, exact.sum())]
    close(*of_t, rtol=0, atol=1e-8)
    with pytest.raises(RuntimeError, match="of order 5 that involves an output time or an event"):
        derivatives(event.t, inputs, 5)


def test_a_mode_of_first_derivatives_refuses_the_second_derivatives_of_an_event() -> None:
    gradient = "forward"
    field = Growth()
    event = solve(
        field, tensor(1.0), tensor(0.0, 5.0), event=Event(lambda t, z: z - 2), gradient=gradient, **HOW["fixed"]
    )
    (of_a,) = torch.autograd.grad(event.event.t, field.alpha, create_graph=True)
    close(of_a.item(), -math.log(2) / 0.49, rtol=0, atol=1e-7)
    with pytest.raises(RuntimeError, match=f"{gradient} gives first derivatives only"):
        torch.autograd.grad(of_a, field.alpha)


@every_gradient
@pytest.mark.parametrize("direction", [0, 1])
def test_the_entry_of_g_that_changed_its_sign_is_differentiated(gradient: str, direction: int) -> None:
    """Another entry is 1e-8 times as large, another stays at zero: dt*/da = -ln 2 / a^2 = -1.4146."""
    field = Growth()

    def g(t: Tensor, z: Tensor) -> Tensor:
        return torch.stack((1e-8 * (z[0] - 3), 0 * z[0], z[0] - 2, 1e-9 * (1.9 - z[0]) if direction else z[0] + 1))

    solution = solve(
        field, tensor(1.0), tensor(0.0, 5.0), event=Event(g, direction=direction), gradient=gradient, **HOW["fixed"]
    )
    assert solution.event_entry == 2
    (of_a,) = torch.autograd.grad(solution.event.t, field.alpha)
    close(of_a.item(), -1.41458, rtol=0, atol=1e-4)


def test_an_entry_that_rests_at_zero_does_not_hide_the_event_of_another() -> None:
    """A body on the floor of a box: its height rests at zero with no rate, and it meets the wall at x = 1."""
    v = tensor(0.5).requires_grad_()
    solution = solve(
        lambda t, y: torch.cat((0 * y[:1], v)), tensor(0.0, 0.0), tensor(0.0, 9.0),
        event=Event(lambda t, y: torch.stack((y[0], y[1] - 1))), **HOW["adaptive"],
    )  # fmt: skip
    close(torch.autograd.grad(solution.event.t, v)[0], tensor(-1 / 0.25), rtol=0, atol=1e-8)


def test_an_output_at_the_event_depends_on_its_output_time_and_the_event_does_not() -> None:
    """y' = 1, y0 = 0: y = 1 at t0 + 1, which is the second output."""
    t = tensor(0.0, 1.0, 2.0).requires_grad_()
    solution = solve(
        lambda t, y: torch.ones_like(y), tensor(0.0), t, event=Event(lambda t, y: y - 1), solver="euler",
        controller=FixedStep(dt=0.5),
    )  # fmt: skip
    of_output, of_event, of_state = (
        torch.autograd.grad(x.sum(), t, retain_graph=True)[0] for x in (solution.y[1], *solution.event)
    )
    close(of_output, tensor(-1.0, 1.0, 0.0))
    close(of_event, tensor(1.0, 0.0, 0.0))
    close(of_state, tensor(0.0, 0.0, 0.0))


WITHOUT_RATE = {
    "flat": lambda t, y: torch.sign(y - 0.5),
    "boolean": lambda t, y: y > 0.5,
    "integer": lambda t, y: (y > 0.5).long() - (y < 0.5).long(),
    "detached": lambda t, y: (y - 0.5).detach(),
    "float": lambda t, y: y.item() - 0.5,
    "bool": lambda t, y: bool(y > 0.5),
}


@pytest.mark.parametrize("g", WITHOUT_RATE.values(), ids=WITHOUT_RATE)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_g_without_a_rate_finds_the_event_and_refuses_the_gradient_of_its_time(g: object, recorded: bool) -> None:
    """z' = a z, z0 = 0.25 rises to 0.5 at ln 2 / a; with direction=-1 there is no event."""
    field, z0 = Growth(), tensor(0.25).requires_grad_()
    with torch.set_grad_enabled(recorded):
        solution = solve(field, z0, tensor(0.0, 0.5, 3.0), event=Event(g, direction=1), **HOW["adaptive"])
        assert solve(field, z0, tensor(0.0, 3.0), event=Event(g, direction=-1), **HOW["adaptive"]).event is None
    assert solution.event.t.item() == pytest.approx(math.log(2) / 0.7, abs=1e-8)
    close(solution.event.y, tensor(0.5), rtol=0, atol=1e-8)
    if recorded:
        close(torch.autograd.grad(solution.y[1], z0)[0], torch.exp(tensor(0.35)), rtol=0, atol=1e-8)
        for part in (solution.event.t, solution.event.y):
            with pytest.raises(
                RuntimeError, match=r"the event's time has no gradient: g .* has no rate there, as it is"
            ):
                torch.autograd.grad(part.sum(), (z0, field.alpha))


@pytest.mark.parametrize(
    ("g", "error", "message"),
    [
        (lambda t, y: (y, y), TypeError, "g returned a tuple: an event is a tensor of any shape, or a number"),
        (lambda t, y: None, TypeError, "g returned a NoneType"),
        (lambda t, y: y * 1j, ValueError, "g returned torch.complex128, which has no sign"),
    ],
)
def test_a_g_without_a_sign_is_refused(g: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        solve(Growth(), tensor(0.25), tensor(0.0, 3.0), event=Event(g), **HOW["fixed"])


class Ball(nn.Module):
    """A ball's height and velocity, with learnable gravity and restitution."""

    def __init__(self) -> None:
        super().__init__()
        self.gravity, self.restitution = nn.Parameter(tensor(9.81)[0]), nn.Parameter(tensor(0.8)[0])

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.stack((y[1], -self.gravity))


def bounced(ball: Ball, height: Tensor, times: int, **how: object) -> Tensor:
    """The time of the last bounce: the sum of the flights, each solved from t = 0."""
    y, total = torch.cat((height, tensor(0.0))), tensor(0.0)[0]
    event = Event(lambda t, y: y[0], direction=-1)
    for _ in range(times):
        point = solve(ball, y, tensor(0.0, 9.0), event=event, **how).event
        y, total = torch.stack((0 * point.y[0], -ball.restitution * point.y[1])), total + point.t
    return total


@every_gradient
def test_a_ball_that_bounces_five_times_has_the_gradients_of_the_formula(gradient: str) -> None:
    """t = sqrt(2 h / g) (1 + 2 (r + r^2 + r^3 + r^4)); second derivatives too, where the mode has them."""
    ball, height = Ball(), tensor(3.0).requires_grad_()
    solver = "reversible_dopri5" if gradient == "reversible" else "dopri5"
    time = bounced(ball, height, 5, solver=solver, controller=FixedStep(dt=0.05), gradient=gradient)
    r = ball.restitution
    exact = (2 * height[0] / ball.gravity).sqrt() * (1 + 2 * (r + r**2 + r**3 + r**4))
    close(time, exact, rtol=0, atol=1e-8)
    order = 2 if gradient in ("backprop", "checkpointed", "reversible") else 1
    inputs = (ball.gravity, r, height)
    close(derivatives(time, inputs, order), derivatives(exact, inputs, order), rtol=0, atol=1e-6)
