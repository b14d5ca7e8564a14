"""odeint with event_fn and odeint_event: the time and state of the event, and their gradients."""

import math
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from node.torchdiffeq_api.methods import ADAMS, ADAPTIVE, FIXED
from tests.support.torchdiffeq_pairs import both, both_interfaces, tensor

close = torch.testing.assert_close
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


class Falling(nn.Module):
    """A ball's height and velocity, with learnable gravity."""

    def __init__(self) -> None:
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor(9.81, dtype=torch.float64))
        self.calls = 0

    def forward(self, t: Tensor, y: Any) -> Any:
        self.calls += 1
        if isinstance(y, tuple):
            return y[1], torch.full_like(y[1], 0.0) - self.gravity
        return torch.stack((y[1], -self.gravity))


class Rotation(nn.Module):
    """y' = i w y as two real numbers; from (1, 0) the first is zero at pi / (2 w)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.w * torch.stack((-y[1], y[0]))


def height(t: Tensor, y: Any) -> Tensor:
    return y[0]


START = tensor(1.0, 0.0)


@both_interfaces
@pytest.mark.parametrize("backwards", [False, True])
def test_the_event_and_its_state_equal_torchdiffeqs(interface: str, backwards: bool) -> None:
    t = tensor(0.5, -0.5 if backwards else 1.5)
    ours, theirs = both(lambda library: getattr(library, interface)(Rotation(), START, t, event_fn=height, **TIGHT))
    (event_t, y), (event_t_there, y_there) = ours, theirs
    assert event_t.shape == event_t_there.shape
    assert event_t.item() == pytest.approx(0.5 + (-1 if backwards else 1) * math.pi / 2 / 1.3, abs=1e-8)
    close(event_t, event_t_there, rtol=0, atol=1e-7)
    close(y, y_there, rtol=0, atol=1e-7)
    close(y[0], START)


@pytest.mark.parametrize("method", [*ADAPTIVE, *FIXED, *ADAMS])
def test_every_method_finds_the_event(method: str) -> None:
    """The event is far after t[1], which gives the direction only."""
    options = None if method in ADAPTIVE else {"step_size": 0.01, "interp": "cubic"}
    tolerance = {"rtol": 1e-6, "atol": 1e-6} if method in ("fehlberg2", "adaptive_heun") else TIGHT
    event_t, y = node.odeint(
        Rotation(), START, tensor(0.0, 1e-3), event_fn=height, method=method, options=options, **tolerance
    )
    error = 0.05 if method == "euler" else 1e-2 if method == "fehlberg2" else 1e-3
    assert event_t.item() == pytest.approx(math.pi / 2 / 1.3, abs=error)
    assert y[1, 0].item() == pytest.approx(0.0, abs=error)


@pytest.mark.parametrize("far", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_event_at_any_distance_is_found(dtype: torch.dtype, far: float) -> None:
    """y' = 1: each step is ten times as large as the one before, and t[1] does not limit it."""
    start = torch.zeros((), dtype=dtype)
    t = torch.tensor([0.0, 1.0], dtype=dtype)
    event_t, y = node.odeint(
        lambda t, y: torch.ones_like(y), start, t, event_fn=lambda t, y: y - far, rtol=1e-5, atol=1e-5
    )
    assert event_t.dtype == y.dtype == dtype
    assert event_t.item() == pytest.approx(far, rel=1e-6)
    assert y[1].item() == pytest.approx(far, rel=1e-5)


def test_an_event_fn_with_several_entries_stops_at_the_first_root() -> None:
    ours, theirs = both(
        lambda library: library.odeint(
            Rotation(),
            START,
            tensor(0.0, 1.0),
            event_fn=lambda t, y: torch.stack((y[0], y[1] - 0.5, y[0] + 2)),
            **TIGHT,
        )
    )
    assert ours[0].item() == pytest.approx(math.asin(0.5) / 1.3, abs=1e-8)
    close(ours[0], theirs[0], rtol=0, atol=1e-7)


@both_interfaces
def test_a_root_at_the_start_is_an_event_there_as_in_torchdiffeq(interface: str) -> None:
    answers = both(
        lambda library: getattr(library, interface)(
            Rotation(), START, tensor(0.2, 1.0), event_fn=lambda t, y: y[1], **TIGHT
        )
    )
    for event_t, y in answers:
        assert event_t.item() == pytest.approx(0.2)
        close(y, torch.stack((START, START)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("interface", ["odeint", "odeint_adjoint"])
def test_odeint_gives_the_gradient_of_states_at_a_constant_event_time(interface: str) -> None:
    """The gradient equals torchdiffeq's: the event's time counts as a constant."""
    found = []
    for library in (node, torchdiffeq):
        f, y0 = Rotation(), START.clone().requires_grad_()
        _, y = getattr(library, interface)(f, y0, tensor(0.0, 1.0), event_fn=height, **TIGHT)
        found.append(torch.autograd.grad(y[1].sum(), (y0, f.w)))
    close(found[0], found[1], rtol=0, atol=1e-6)


@both_interfaces
def test_the_time_of_an_event_has_its_gradient(interface: str) -> None:
    """The entry that changes its sign has its root at t* = t0 + pi / (2 w); dt*/dy0[1] = -1 / w."""
    f, y0, t = Rotation(), START.clone().requires_grad_(), tensor(0.5, 1.0).requires_grad_()
    event_t, _ = getattr(node, interface)(
        f, y0, t, event_fn=lambda t, y: torch.stack((1e-9 * (y[0] - 3), y[0])), **TIGHT
    )
    found = torch.autograd.grad(event_t, (f.w, y0, t))
    w = 1.3
    close(found, (tensor(-math.pi / 2 / w**2)[0], tensor(0.0, -1 / w), tensor(1.0, 0.0)), rtol=0, atol=1e-7)


@both_interfaces
def test_an_event_at_the_start_has_its_gradients(interface: str) -> None:
    """The root of y[1] is at t0 - y[1] / w; the state at a constant time is y0, at the root its y[1] is zero."""
    f, y0, t = Rotation(), START.clone().requires_grad_(), tensor(0.2, 1.0).requires_grad_()
    event_t, y = getattr(node, interface)(f, y0, t, event_fn=lambda t, y: y[1], **TIGHT)
    found = torch.autograd.grad(event_t, (y0, t))
    close(found, (tensor(0.0, -1 / 1.3), tensor(1.0, 0.0)), rtol=0, atol=1e-9)
    close(torch.autograd.grad(y[1].sum(), y0)[0], tensor(1.0, 1.0), rtol=0, atol=1e-9)
    event_t, y = node.odeint_event(
        f, y0, t[0], event_fn=lambda t, y: y[1], odeint_interface=getattr(node, interface), **TIGHT
    )
    close(torch.autograd.grad(y[1], y0, torch.tensor([0.0, 1.0]).double())[0], tensor(0.0, 0.0), rtol=0, atol=1e-9)


def test_odeint_event_has_second_derivatives() -> None:
    """A ball dropped from h: t* = sqrt(2 h / g), v = -sqrt(2 h g)."""
    f, y0 = Falling(), tensor(10.0, 0.0).requires_grad_()
    event_t, y = node.odeint_event(f, y0, tensor(0.0), event_fn=height, **TIGHT)
    leaf, g = y0.detach().requires_grad_(), f.gravity.detach().requires_grad_()
    exact = (2 * leaf[0] / g).sqrt(), -(2 * leaf[0] * g).sqrt()
    for found, true in zip((event_t, y[1, 1]), exact, strict=True):
        first = torch.autograd.grad(found, (y0, f.gravity), create_graph=True)
        first_true = torch.autograd.grad(true, (leaf, g), create_graph=True)
        second = torch.autograd.grad(first[0][0] + 2 * first[1], (y0, f.gravity), retain_graph=True)
        second_true = torch.autograd.grad(first_true[0][0] + 2 * first_true[1], (leaf, g), retain_graph=True)
        close(second[0][0], second_true[0][0], rtol=0, atol=1e-7)
        close(second[1], second_true[1], rtol=0, atol=1e-7)


def unknown_interface(*args: Any, **kwargs: Any) -> Any:
    """A wrapper of odeint that node does not know, with a detached event time."""
    event_t, y = node.odeint(*args, **kwargs)
    return event_t.detach(), y


@pytest.mark.parametrize("interface", [node.odeint, node.odeint_adjoint, unknown_interface])
def test_odeint_event_differentiates_the_entry_that_changed_its_sign(interface: Any) -> None:
    f, y0 = Rotation(), START.clone().requires_grad_()
    event_t, _ = node.odeint_event(
        f, y0, tensor(0.5), odeint_interface=interface, **TIGHT,
        event_fn=lambda t, y: torch.stack((1e-12 * (y[0] - 3), y[0])),
    )  # fmt: skip
    close(torch.autograd.grad(event_t, f.w)[0].item(), -math.pi / 2 / 1.3**2, rtol=0, atol=1e-7)


@pytest.mark.parametrize("g", [lambda t, y: y[0] < 0, lambda t, y: y[0].item()], ids=["boolean", "float"])
@pytest.mark.parametrize("interface", [node.odeint, node.odeint_adjoint, unknown_interface])
def test_an_event_fn_without_a_rate_finds_the_event_and_refuses_its_gradient(interface: Any, g: Any) -> None:
    f, y0 = Rotation(), START.clone().requires_grad_()
    event_t, y = interface(f, y0, tensor(0.0, 1.0), event_fn=g, **TIGHT)
    assert event_t.item() == pytest.approx(math.pi / 2 / 1.3, abs=1e-8)
    close(torch.autograd.grad(y[1, 0], y0)[0], tensor(0.0, -1.0), rtol=0, atol=1e-7)
    event_t, y = node.odeint_event(f, y0, tensor(0.0), event_fn=g, odeint_interface=interface, **TIGHT)
    for part in (event_t, y[1, 0]):
        with pytest.raises(RuntimeError, match="the event's time has no gradient"):
            torch.autograd.grad(part, y0, retain_graph=True)


@pytest.mark.parametrize("reverse", [False, True])
@both_interfaces
def test_odeint_event_gives_the_gradient_through_the_events_time(interface: str, reverse: bool) -> None:
    """A ball thrown from h with v at t0: t* = t0 + (v +- sqrt(v^2 + 2 g h)) / g, with velocity v - g (t* - t0)."""
    found = []
    for library in (node, torchdiffeq):
        f, y0, t0 = Falling(), tensor(10.0, 2.0).requires_grad_(), tensor(0.3).requires_grad_()
        event_t, y = library.odeint_event(
            f, y0, t0, event_fn=height, reverse_time=reverse, odeint_interface=getattr(library, interface), **TIGHT
        )
        assert y.shape == (2, 2)
        inputs = (y0, t0, f.gravity)
        found.append((event_t, y, *(g for part in (event_t, y[1, 1]) for g in gradient(part, inputs))))
    y0, t0, g = (x.detach().requires_grad_() for x in inputs)
    fall = (y0[1] + (-1 if reverse else 1) * torch.sqrt(y0[1] ** 2 + 2 * g * y0[0])) / g
    true = [x for part in (t0[0] + fall, y0[1] - g * fall) for x in gradient(part, (y0, t0, g))]
    close(found[0][0].detach(), (t0[0] + fall).detach(), rtol=0, atol=1e-8)
    for ours, exact in zip(found[0][2:], true, strict=True):
        close(ours, exact, rtol=0, atol=1e-6)
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs, rtol=0, atol=1e-5)


def gradient(part: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    grads = torch.autograd.grad(part, inputs, retain_graph=True, allow_unused=True)
    return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(inputs, grads, strict=True))


@both_interfaces
def test_a_tuple_state_has_its_event(interface: str) -> None:
    found = []
    for library in (node, torchdiffeq):
        f = Falling()
        y0 = tuple(tensor(x).requires_grad_() for x in (10.0, 2.0))
        event_t, y = library.odeint_event(
            f, y0, tensor(0.0), event_fn=height, odeint_interface=getattr(library, interface), **TIGHT
        )
        assert isinstance(y, tuple)
        assert [part.shape for part in y] == [(2, 1), (2, 1)]
        found.append((event_t, *y, *torch.autograd.grad(event_t + y[1][-1].sum(), (*y0, f.gravity))))
    for ours, theirs in zip(*found, strict=True):
        close(ours.squeeze(), theirs.squeeze(), rtol=0, atol=1e-5)


def test_a_ball_that_bounces_three_times_has_the_time_and_gradient_of_the_formula() -> None:
    """With restitution 0.8 the third bounce is at (1 + 2 (0.8 + 0.64)) times the first fall."""
    f, t, y = Falling(), tensor(0.0), tensor(10.0, 0.0)
    for _ in range(3):
        event_t, states = node.odeint_event(f, y, t, event_fn=height, **TIGHT)
        t, y = event_t, torch.stack((states[1, 0].clamp(min=0) + 1e-7, -0.8 * states[1, 1]))
    fall = torch.sqrt(2 * 10.0 / f.gravity)
    exact = fall * (1 + 2 * (0.8 + 0.64))
    assert t.item() == pytest.approx(exact.item(), rel=1e-6)
    close(torch.autograd.grad(t, f.gravity), torch.autograd.grad(exact, f.gravity), rtol=1e-5, atol=0)


def test_under_no_grad_an_event_has_no_graph() -> None:
    f = Falling()
    with torch.no_grad():
        event_t, y = node.odeint_event(f, tensor(10.0, 0.0), tensor(0.0), event_fn=height)
    assert not event_t.requires_grad
    assert not y.requires_grad


def test_callbacks_are_called_once_a_step_up_to_the_event() -> None:
    class Watched(Falling):
        def callback_accept_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
            starts.append(t0.item())

    starts: list[float] = []
    node.odeint_event(Watched(), tensor(10.0, 0.0), tensor(0.0), event_fn=height)
    assert starts == sorted(set(starts))
    assert starts[0] == 0.0


def test_an_event_that_never_happens_raises() -> None:
    never = {"event_fn": lambda t, y: y.sum() + 1e6}
    with pytest.raises(node.SolveError, match="max_num_steps exceeded: raise it"):
        node.odeint(Rotation(), START, tensor(0.0, 1.0), options={"max_num_steps": 200}, **never)
    with pytest.raises(node.SolveError, match="kept its sign up to t=1e\\+30: check that it passes through zero"):
        node.odeint(lambda t, y: torch.zeros_like(y), START, tensor(0.0, 1.0), **never)
    with pytest.raises(node.SolveError, match="kept its sign up to t=-1e\\+30"):
        node.odeint(lambda t, y: torch.zeros_like(y), START, tensor(1.0, 0.0), **never)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"t": tensor(0.0, 1.0, 2.0)}, "t has 3 entries: with event_fn pass two"),
        ({"method": "rk4"}, "looks for an event in steps of a size: pass options step_size"),
        ({"method": "scipy_solver"}, "scipy_solver finds no event: take another method"),
    ],
)
def test_a_search_for_an_event_without_what_it_needs_is_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        node.odeint(Rotation(), START, **({"t": tensor(0.0, 1.0), "event_fn": height} | how))
