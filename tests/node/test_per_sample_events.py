"""Events with per-sample stepping: each sample stops at its own event as if solved alone."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, Event, FixedStep, PIDController, Status, solve
from node.adjoint import Adjoint, Backprop, Checkpointed
from tests.support.per_sample_modes import MODES, every_mode, solver_for
from tests.support.samples import T, explosion, tensor, together

TIGHT = PIDController(rtol=1e-9, atol=1e-9)


class Falling(nn.Module):
    """Heights and velocities of balls, with learnable gravity and a drag."""

    def __init__(self) -> None:
        super().__init__()
        self.gravity = nn.Parameter(tensor(9.81))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        height, speed = y[..., :1], y[..., 1:]
        return torch.cat((speed.expand_as(height), -self.gravity - 0.1 * speed * torch.cos(t)), dim=-1)


def low(t: Tensor, y: Tensor) -> Tensor:
    return y[..., 0] - 1.0


def low_or_fast(t: Tensor, y: Tensor) -> Tensor:
    return torch.stack((y[..., 0] - 1.0, 1e8 * (y[..., 1] + 7.0)), dim=-1)


Y0 = tensor([10.0, 0.0], [2.0, 3.0], [500.0, 40.0], [1.5, -3.0], [20.0, 30.0])
TIMES = tensor(0.0, 0.1, 0.5, 1.0, 1.3, 4.0)


CASES = {"shared": (low, TIMES), "own": (low_or_fast, TIMES * tensor(1.0, 0.2, 1.0, 3.0, 1.5).unsqueeze(1))}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SOLVERS)
def test_each_sample_stops_at_the_same_event_as_alone(name: str, case: str) -> None:
    g, t = CASES[case]
    controller = PIDController(rtol=1e-5, atol=1e-5) if SOLVERS[name].adaptive else FixedStep(dt=0.03)
    how = {"solver": name, "controller": controller, "event": Event(g), "dense": True}
    with torch.no_grad():
        batch = together(Falling(), Y0, t, **how)
        single = [solve(Falling(), y, row, **how) for y, row in zip(Y0, t.expand(5, -1), strict=True)]
    assert batch.samples.status == tuple(sample.status for sample in single)
    assert set(batch.samples.status) == {Status.event, Status.success}
    assert batch.status is Status.event
    assert batch.samples.n_accepted.tolist() == [sample.stats.n_accepted for sample in single]
    torch.testing.assert_close(batch.y, torch.stack([s.y for s in single], 1), rtol=1e-7, atol=1e-7, equal_nan=True)
    for i, sample in enumerate(single):
        if sample.event is None:
            assert batch.event.t[i].isnan()
            assert batch.event.y[i].isnan().all()
            continue
        torch.testing.assert_close(batch.event.t[i], sample.event.t, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(batch.event.y[i], sample.event.y, rtol=1e-7, atol=1e-7)
        middle = sample.event.t / 2
        times = t.expand(5, -1)[:, -1:].minimum(middle)
        torch.testing.assert_close(batch.dense(times)[0, i], sample.dense(middle), rtol=1e-7, atol=1e-7)


def test_a_sample_is_nan_after_its_event() -> None:
    with torch.no_grad():
        solution = together(Falling(), Y0, TIMES, solver="dopri5", controller=TIGHT, event=Event(low), dense=True)
    late = TIMES.unsqueeze(1) > solution.event.t
    assert torch.equal(solution.y.isnan().all(dim=2), late)
    assert torch.equal(solution.dense(TIMES).isnan().all(dim=2), late)
    assert solution.require_success() is solution
    torch.testing.assert_close(solution.dense(solution.event.t.nan_to_num(4.0).unsqueeze(1))[0, 0], solution.event.y[0])


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["forwards", "backwards"])
@pytest.mark.parametrize(("direction", "expected"), [(0, [0.5, 0.5]), (-1, [0.5, 1.5]), (1, [1.5, 0.5])])
def test_direction_minus_one_finds_falls_only_and_direction_one_rises_only(
    direction: int, expected: list[float], sign: float
) -> None:
    """g = cos(pi y), y' = 1: from y = 0 g falls through its first root, from y = 1 it rises."""
    event = Event(lambda t, y: torch.cos(math.pi * y), direction=direction)
    how = {"solver": "rk4", "controller": FixedStep(0.2), "event": event}
    solution = together(lambda t, y: torch.ones_like(y), tensor([0.0], [1.0]), tensor(0.0, sign * 4), **how)
    assert solution.event.t.tolist() == pytest.approx([sign * t for t in expected], abs=1e-12)


def test_a_root_at_the_start_is_no_event_and_a_boolean_g_has_events() -> None:
    y0 = tensor([0.0, 5.0], [0.0, 8.0], [3.0, 0.0])
    how = {"solver": "rk4", "controller": FixedStep(0.03)}
    free = lambda t, y: torch.stack((y[:, 1], torch.full_like(y[:, 1], -9.81)), dim=1)  # noqa: E731
    solution = together(free, y0, tensor(0.0, 10.0), event=Event(lambda t, y: y[:, 0]), **how)
    expected = [2 * 5 / 9.81, 2 * 8 / 9.81, math.sqrt(2 * 3 / 9.81)]
    assert solution.event.t.tolist() == pytest.approx(expected, abs=1e-9)
    solution = together(free, y0, tensor(0.0, 10.0), event=Event(lambda t, y: y[:, 1] < -4), **how)
    assert solution.event.t.tolist() == pytest.approx([9 / 9.81, 12 / 9.81, 4 / 9.81], abs=1e-9)


def event_gradients(batch: bool, mode: Adjoint, name: str) -> tuple[Tensor, ...]:
    """The gradient of a sum over event times, event states and outputs, solved as a batch or one by one."""
    f, y0, threshold = Falling(), Y0.clone().requires_grad_(), nn.Parameter(torch.ones((), dtype=Y0.dtype))
    t = (TIMES * tensor(1.0, 0.2, 1.0, 3.0, 1.5).unsqueeze(1)).requires_grad_()
    how = {"solver": name, "controller": TIGHT, "gradient": mode, "parameters": tuple(f.parameters())}

    def g(t: Tensor, y: Tensor) -> Tensor:
        height, speed = y.unbind(-1)
        return torch.stack((height - threshold * torch.cos(t).view_as(height), speed + 50), -1)

    event = Event(g)
    if batch:
        solutions = [together(f, y0, t, event=event, **how)]
    else:
        solutions = [solve(f, y, row, event=event, **how) for y, row in zip(y0, t, strict=True)]
    loss = y0.new_zeros(())
    for solution in solutions:
        loss = loss + solution.y.nan_to_num().square().sum()
        if solution.event is not None:
            loss = loss + solution.event.t.nan_to_num().square().sum() + solution.event.y.nan_to_num()[..., 1].sum()
    return torch.autograd.grad(loss, (y0, threshold, f.gravity, t))


SOLVERS_AND_MODES = [(solver_for(mode), mode) for mode in MODES.values()] + [
    ("rodas4", Backprop()),
    ("rodas4", Checkpointed()),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "mode"), SOLVERS_AND_MODES, ids=str)
def test_gradients_equal_those_of_each_sample_alone(name: str, mode: Adjoint) -> None:
    found, alone = event_gradients(True, mode, name), event_gradients(False, mode, name)
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@every_mode
def test_the_time_and_state_of_an_event_have_derivatives_up_to_the_third_order(mode: Adjoint) -> None:
    """y' = a y reaches 2 at t* = log(2 / y0) / a; one of three samples ends before."""
    a, y0 = tensor(0.7)[0].requires_grad_(), tensor([1.0], [0.5], [1.5]).requires_grad_()
    how = {"solver": solver_for(mode), "controller": TIGHT, "gradient": mode, "parameters": (a,)}
    solution = together(lambda t, y: a * y, y0, tensor(0.0, 1.2), event=Event(lambda t, y: y - 2), **how)
    assert solution.samples.status == (Status.event, Status.success, Status.event)
    for i, start in ((0, 1.0), (2, 1.5)):
        log, rate = math.log(2 / start), 0.7
        first = torch.autograd.grad(solution.event.t[i], (a, y0), create_graph=True)
        torch.testing.assert_close((first[0].item(), first[1][i].item()), (-log / rate**2, -1 / (rate * start)))
        of_a = torch.autograd.grad(first[0], (a, y0), retain_graph=True)
        of_y0 = torch.autograd.grad(first[1][i, 0], (a, y0), create_graph=True)
        expected = (2 * log / rate**3, 1 / (rate**2 * start), 1 / (rate**2 * start), 1 / (rate * start**2))
        second = (of_a[0].item(), of_a[1][i].item(), of_y0[0].item(), of_y0[1][i].item())
        torch.testing.assert_close(second, expected, rtol=1e-5, atol=1e-6)
        (third,) = torch.autograd.grad(of_y0[1][i, 0], y0, retain_graph=True)
        assert third[i].item() == pytest.approx(-2 / (rate * start**3), rel=1e-5)
        of_state = torch.autograd.grad(solution.event.y[i].sum(), (a, y0), retain_graph=True)
        assert max(x.abs().max().item() for x in of_state) < 1e-7


@pytest.mark.exhaustive
def test_samples_that_fail_or_have_no_event_do_not_change_gradients_of_events() -> None:
    def grads(y0: Tensor) -> tuple[Tensor, ...]:
        y0, rate = y0.clone().requires_grad_(), tensor(1.0).requires_grad_()
        event = Event(lambda t, y: torch.sqrt(y) - 1)
        how = {"solver": "dopri5", "controller": TIGHT, "parameters": (rate,), "event": event}
        solution = together(lambda t, y: rate * explosion(t, y) + 0 * torch.sqrt(y), y0, tensor(0.0, 1.9), **how)
        return *torch.autograd.grad(solution.event.t[:1].sum(), (y0, rate)), solution

    found, expected = grads(tensor([0.4], [-1.0], [0.1], [2.0], [math.nan])), grads(tensor([0.4]))
    failed = Status.non_finite
    assert found[2].samples.status == (Status.event, failed, Status.success, found[2].samples.status[3], failed)
    assert found[2].status is failed
    torch.testing.assert_close(found[0], torch.cat((expected[0], torch.zeros(4, 1, dtype=torch.float64))))
    torch.testing.assert_close(found[1], expected[1])


def test_an_event_whose_g_has_no_rate_is_found_and_its_gradient_is_refused() -> None:
    y0 = tensor([0.0], [0.2]).requires_grad_()
    how = {"solver": "rk4", "controller": FixedStep(0.1), "event": Event(lambda t, y: torch.sign(y - 0.55))}
    solution = together(lambda t, y: torch.ones_like(y), y0, tensor(0.0, 1.0), **how)
    assert solution.event.t.tolist() == pytest.approx([0.55, 0.35], abs=1e-12)
    with pytest.raises(RuntimeError, match=r"the event's time has no gradient: g \(sample 0\) has no rate"):
        torch.autograd.grad(solution.event.t.sum(), y0, retain_graph=True)
    (found,) = torch.autograd.grad(solution.y[0].sum(), y0)
    assert torch.equal(found, torch.ones_like(y0))


def test_tuple_states_in_float32_have_events() -> None:
    y0 = Y0[:, :1].float(), Y0[:, 1:].float().unsqueeze(2)
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-6, atol=1e-6)}
    event = Event(lambda t, y: y[0])
    solution = together(
        lambda t, y: (y[1][..., 0], torch.full_like(y[1], -9.81)), y0, TIMES.float() * 4, event=event, **how
    )
    height, speed = Y0.unbind(1)
    exact = (speed + torch.sqrt(speed**2 + 2 * 9.81 * height)) / 9.81
    torch.testing.assert_close(solution.event.t, exact.float().where(exact < 16, math.nan), equal_nan=True)
    assert [part.shape for part in solution.event.y] == [(5, 1), (5, 1, 1)]
    assert solution.event.t.dtype is torch.float32


WRONG = {
    "g returned torch.float64 of shape \\(\\) for 5 samples": lambda t, y: y.sum(),
    "g returned torch.float64 of shape \\(2,\\) for 5 samples": lambda t, y: y[0],
    "g returned a float for 5 samples": lambda t, y: 1.0,
}


@pytest.mark.parametrize("message", WRONG)
def test_a_g_without_a_value_for_each_sample_is_refused_in_one_line(message: str) -> None:
    error = TypeError if "a float" in message else ValueError
    with pytest.raises(error, match=message) as refusal:
        together(Falling(), Y0, T, solver="rk4", controller=FixedStep(0.1), event=Event(WRONG[message]))
    assert "\n" not in str(refusal.value)
