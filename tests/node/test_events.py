"""Events: where a solve stops, its outputs before the event, and the gradients of the event's time and state."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, Event, EventPoint, FixedStep, PIDController, Solution, Status, solve

TIGHT = PIDController(rtol=1e-10, atol=1e-10)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Falling(nn.Module):
    """A ball's height and velocity, with learnable gravity."""

    def __init__(self, gravity: float = 9.81):
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor(gravity, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.stack((y[1], -self.gravity))


def height(t: Tensor, y: Tensor) -> Tensor:
    return y[0]


def dropped(event: Event, t: Tensor | None = None, **how: object) -> Solution[Tensor]:
    t = tensor(0.0, 0.5, 1.0, 10.0) if t is None else t
    y0 = how.pop("y0", tensor(10.0, 0.0))
    return solve(Falling(), y0, t, event=event, **({"solver": "dopri5", "controller": TIGHT} | how))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solve_stops_at_the_root_and_later_outputs_are_nan(name: str) -> None:
    """A ball dropped from 10 m lands at sqrt(2 h / g), by adaptive and by fixed steps."""
    solver = SOLVERS[name]
    controller = PIDController(rtol=1e-7, atol=1e-7) if solver.adaptive and solver.order > 2 else FixedStep(dt=1e-3)
    solution = dropped(Event(height), solver=name, controller=controller)
    assert solution.status is Status.event
    assert solution.require_success() is solution
    fall = math.sqrt(2 * 10 / 9.81)
    tolerance = 1e-2 if solver.order == 1 else 1e-5
    assert solution.event.t.item() == pytest.approx(fall, abs=tolerance)
    torch.testing.assert_close(solution.event.y, tensor(0.0, -9.81 * fall), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(solution.y[:3, 0], 10 - 9.81 * tensor(0.0, 0.5, 1.0) ** 2 / 2, rtol=tolerance, atol=0)
    assert solution.y[3].isnan().all()


def test_the_time_of_an_event_is_as_exact_as_the_solve() -> None:
    """y' = y cos t stops at y = 2: sin t = log 2."""
    for tolerance in (1e-6, 1e-8, 1e-10):
        solution = solve(
            lambda t, y: y * torch.cos(t), tensor(1.0), tensor(0.0, 2.0), event=Event(lambda t, y: y - 2),
            solver="dopri5", controller=PIDController(rtol=tolerance, atol=tolerance),
        )  # fmt: skip
        assert abs(solution.event.t.item() - math.asin(math.log(2))) < 30 * tolerance


def test_without_a_root_the_solve_reaches_the_end() -> None:
    solution = dropped(Event(lambda t, y: y[0] + 1e6))
    assert solution.status is Status.success
    assert solution.event is None
    assert solution.y.isfinite().all()


@pytest.mark.parametrize(("direction", "expected"), [(0, math.pi / 2), (-1, math.pi / 2), (1, 3 * math.pi / 2)])
def test_direction_minus_one_finds_falls_only_and_direction_one_rises_only(direction: int, expected: float) -> None:
    solution = solve(
        lambda t, y: torch.cos(t).expand_as(y), tensor(0.0), tensor(0.0, 7.0), solver="dopri5", controller=TIGHT,
        event=Event(lambda t, y: torch.cos(t), direction=direction),
    )  # fmt: skip
    assert solution.event.t.item() == pytest.approx(expected, abs=1e-9)


def test_a_direction_other_than_a_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="direction is 2 and must be -1, 0 or 1"):
        Event(height, direction=2)


def test_a_root_at_the_start_is_no_event_and_the_return_to_it_is() -> None:
    """A ball thrown up from the ground with v is back at 2 v / g."""
    solution = dropped(Event(height), y0=tensor(0.0, 5.0))
    assert solution.event.t.item() == pytest.approx(2 * 5 / 9.81, abs=1e-9)


def test_the_first_root_of_several_entries_stops_the_solve() -> None:
    solution = dropped(Event(lambda t, y: torch.stack((y[0] - 2.0, y[0] - 7.0, t - 5))))
    assert solution.event.t.item() == pytest.approx(math.sqrt(2 * 3 / 9.81), abs=1e-9)


def test_a_solve_backwards_in_time_stops_at_an_event() -> None:
    solution = dropped(Event(lambda t, y: y[0] - 5.0), t=tensor(0.0, -3.0))
    assert solution.event.t.item() == pytest.approx(-math.sqrt(2 * 5 / 9.81), abs=1e-9)


@every_gradient
def test_gradients_of_the_time_and_state_of_an_event_are_those_of_the_formula(gradient: str) -> None:
    """t = sqrt(2 h / g), and v = -sqrt(2 h g)."""
    field, y0 = Falling(), tensor(10.0, 0.0).requires_grad_()
    threshold = nn.Parameter(tensor(1.0))
    solution = solve(
        field, y0, tensor(0.0, 0.5, 10.0), solver="dopri5", controller=TIGHT, gradient=gradient,
        event=Event(lambda t, y: y[0] - threshold[0]),
    )  # fmt: skip
    inputs = (y0, field.gravity, threshold)
    of_t = torch.autograd.grad(solution.event.t, inputs, retain_graph=True)
    of_v = torch.autograd.grad(solution.event.y[1], inputs, retain_graph=True)
    of_h = torch.autograd.grad(solution.event.y[0], inputs)
    g, h = 9.81, 9.0
    t, v = math.sqrt(2 * h / g), -math.sqrt(2 * h * g)
    torch.testing.assert_close(of_t, (tensor(t / (2 * h), 1 / g), tensor(-t / (2 * g))[0], tensor(-t / (2 * h))))
    torch.testing.assert_close(of_v, (tensor(v / (2 * h), 0.0), tensor(v / (2 * g))[0], tensor(-v / (2 * h))))
    torch.testing.assert_close(of_h, (tensor(0.0, 0.0), tensor(0.0)[0], tensor(1.0)))


@every_gradient
def test_states_before_an_event_and_their_gradients_are_those_of_a_solve_without_an_event(gradient: str) -> None:
    field, y0, t = Falling(), tensor(10.0, 0.0).requires_grad_(), tensor(0.0, 0.5, 1.0)
    how = {"solver": "dopri5", "controller": TIGHT, "gradient": gradient}
    stopped = solve(field, y0, torch.cat((t, tensor(10.0))), event=Event(height), **how)
    plain = solve(field, y0, t, **how)
    torch.testing.assert_close(stopped.y[:3], plain.y, rtol=1e-9, atol=1e-9)
    of_stopped = torch.autograd.grad(stopped.y[:3].square().sum(), (y0, field.gravity))
    torch.testing.assert_close(of_stopped, torch.autograd.grad(plain.y.square().sum(), (y0, field.gravity)))


def test_the_event_is_the_same_with_and_without_a_graph() -> None:
    recorded = dropped(Event(height))
    with torch.no_grad():
        bare = dropped(Event(height))
    assert recorded.event.t.item() == pytest.approx(bare.event.t.item(), abs=1e-12)
    torch.testing.assert_close(recorded.event.y, bare.event.y, rtol=1e-10, atol=1e-10)
    assert bare.stats.nfe_forward < recorded.stats.nfe_forward  # with a graph the solve is repeated up to the event


def test_a_tuple_state_has_its_event() -> None:
    solution = solve(
        lambda t, y: (y[1], torch.full_like(y[1], -9.81)), (tensor(10.0), tensor(0.0)), tensor(0.0, 10.0),
        solver="dopri5", controller=TIGHT, event=Event(lambda t, y: y[0]),
    )  # fmt: skip
    assert solution.event.y[1].item() == pytest.approx(-math.sqrt(2 * 10 * 9.81))


def test_a_failure_before_the_event_is_a_failure() -> None:
    solution = dropped(Event(height), max_steps=2, controller=FixedStep(dt=0.1))
    assert solution.status is Status.max_steps
    assert solution.event is None


@pytest.mark.parametrize("name", [name for name, solver in SOLVERS.items() if solver.order > 3])
def test_in_float32_the_root_is_as_exact_as_the_rounding_of_the_steps(name: str) -> None:
    """The root is within 1e-6 (8 roundings) of that of the same steps in float64, and g is zero at it within 1e-6.

    For solvers that solve linear systems both are 1e-5: the stages of rodas5p are 10 times as large as the sum that
    its dense output makes of them, and so is their rounding error.
    """
    tolerance = 1e-5 if SOLVERS[name].needs_jacobian else 1e-6

    def turned(dtype: torch.dtype, level: float) -> EventPoint[Tensor]:
        start, t = torch.tensor([1.0, 0.0], dtype=dtype), torch.tensor([0.0, 3.1], dtype=dtype)
        event = Event(lambda t, y: y[0] - level)
        how = {"solver": name, "controller": FixedStep(dt=0.3), "event": event}
        return solve(lambda t, y: torch.stack((-y[1], y[0])), start, t, **how).event

    for level in (0.9, 0.35, -0.2, -0.6):
        exact, found = turned(torch.float64, level), turned(torch.float32, level)
        assert found.t.item() == pytest.approx(exact.t.item(), abs=tolerance)
        assert found.y[0].item() == pytest.approx(level, abs=tolerance)
        assert exact.y[0].item() == pytest.approx(level, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_root_in_time_alone_is_found_to_half_a_float32_rounding(dtype: torch.dtype) -> None:
    solution = solve(
        lambda t, y: torch.ones_like(y), torch.zeros(1), torch.tensor([0.0, 2.0], dtype=dtype), solver="dopri5",
        controller=FixedStep(dt=0.7), event=Event(lambda t, y: t - 1 / 3),
    )  # fmt: skip
    assert solution.event.t.item() == pytest.approx(1 / 3, abs=torch.finfo(torch.float32).eps / 4)


def test_a_g_that_is_nan_for_a_while_keeps_its_sign_before() -> None:
    """g is NaN from t = 0.2 to 0.9, between the drop and the ground."""
    event = Event(lambda t, y: y[0] + torch.where((t > 0.2) & (t < 0.9), torch.nan, 0.0))
    solution = dropped(event, controller=FixedStep(dt=0.05))
    assert solution.event.t.item() == pytest.approx(math.sqrt(2 * 10 / 9.81), abs=1e-9)


def test_event_entry_is_the_entry_that_stopped_the_solve() -> None:
    solution = dropped(Event(lambda t, y: torch.stack((t - 5, y[0] - 7.0, y[0] - 2.0)).view(3, 1)))
    assert solution.event_entry == 1
