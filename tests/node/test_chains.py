"""Solves that begin where others end: gradients through chains of them, with layers before and after."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import Event, FixedStep, solve
from tests.support.gradients import tensor
from tests.support.lawful import MODES, T, assert_lawful, backprop_of, every_mode, gradients, how, tolerance, wrong


class Growth(nn.Module):
    """y' = a y from y0, all of them learnable; its encoder lives in it too."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(tensor(-0.7))
        self.y0 = nn.Parameter(tensor(2.0))
        self.encoder = nn.Linear(3, 1, dtype=torch.float64)
        nn.init.constant_(self.encoder.weight, 0.4)
        nn.init.constant_(self.encoder.bias, 0.1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.a * y


class Net(nn.Module):
    """An encoder, a field and a decoder; the field has an encoder and a start of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.after = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(2))
        self.field = Field()

    def forward(self, x: Tensor, start: str, way: dict[str, object]) -> Tensor:
        y = {
            "encoder": lambda: self.before(x),
            "encoder in f": lambda: self.field.encoder(x),
            "in f": lambda: self.field.y0,
            "in both": lambda: self.before(x) + self.field.encoder(self.field.y0),
        }[start]()
        total = torch.zeros((), dtype=torch.float64)
        for _ in range(3):
            states = solve(self.field, y, T, **way).y
            total, y = total + self.after(states[1]).square().sum(), states[-1]
        return total + self.after(y).square().sum()


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.inner = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(2))
        self.y0 = nn.Parameter(tensor(0.5, -0.3, 0.8))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.inner(y)) * torch.cos(t) - y / 4


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "reversible"])
def test_a_learnable_start_that_lives_in_f_has_its_gradient(mode: str) -> None:
    """One step of rk4 multiplies by R = 1 + z + z^2/2 + z^3/6 + z^4/24, z = a dt: dy/dy0 is R(-0.7) = 0.4978.

    The interpolating adjoint and the continuous one take such a step too, of a' = -a a, which multiplies by the same R.
    """
    f = Growth()
    way = {"solver": "rk4", "controller": FixedStep(dt=1.0), "gradient": MODES[mode]}
    (of_y0,) = gradients(lambda: solve(f, f.y0, tensor(0.0, 1.0), **way).y[-1].sum(), [f.y0])
    assert of_y0.item() == pytest.approx(sum((-0.7) ** j / math.factorial(j) for j in range(5)), rel=1e-12)


@every_mode
def test_two_solves_in_a_row_have_the_gradient_of_one(mode: str) -> None:
    """y(2) = y0 e^{2a}, y0 = 1: dy/da = 2 e^{2a} = 0.49319, dy/dy0 = e^{2a} = 0.24660."""
    f, t = Growth(), tensor(0.0, 1.0)
    nn.init.ones_(f.y0)
    way = how(mode) | ({"controller": FixedStep(dt=0.01)} if tolerance(mode) < 1e-8 else {})

    def end() -> Tensor:
        return solve(f, solve(f, f.y0, t, **way).y[-1], t, **way).y[-1].sum()

    found = [g.item() for g in gradients(end, [f.a, f.y0])]
    assert found == pytest.approx([2 * math.exp(-1.4), math.exp(-1.4)], rel=1e-7)


@every_mode
@pytest.mark.parametrize("start", ["encoder", "encoder in f", "in f", "in both"])
def test_three_solves_between_an_encoder_and_a_decoder_have_backprops_gradient(mode: str, start: str) -> None:
    net, x = Net(), tensor(0.3, -0.6, 1.1)
    found, true = (
        gradients(lambda w=way: net(x, start, w), net.parameters()) for way in (how(mode), backprop_of(mode))
    )
    assert not wrong(found, true, tolerance(mode))


@every_mode
def test_two_chains_that_share_f_have_backprops_gradient(mode: str) -> None:
    net, x = Net(), tensor(0.3, -0.6, 1.1)

    def loss(way: dict[str, object]) -> Tensor:
        return net(x, "encoder", way) * net(x, "in f", way)

    found, true = (gradients(lambda w=way: loss(w), net.parameters()) for way in (how(mode), backprop_of(mode)))
    assert not wrong(found, true, tolerance(mode))


@every_mode
def test_a_backward_pass_for_each_solve_of_a_graph_that_is_kept_adds_up(mode: str) -> None:
    """The losses of two solves of one chain, each with its own backward pass, leave what their sum leaves."""
    f = Field()

    def leave(way: dict[str, object], *, together: bool) -> list[Tensor | None]:
        f.zero_grad()
        first = solve(f, f.encoder(f.y0), T, **way).y
        second = solve(f, first[-1], T, **way).y
        losses = first.square().sum(), second[1:].square().sum()
        for loss in (losses[0] + losses[1],) if together else losses:
            loss.backward(retain_graph=True)
        return [p.grad for p in f.parameters()]

    apart, together = leave(how(mode), together=False), leave(backprop_of(mode), together=True)
    assert not wrong(apart, together, tolerance(mode))


@every_mode
def test_a_loop_from_event_to_event_has_the_gradient_of_the_true_bounces(mode: str) -> None:
    """A ball from height h bounces with restitution e at sqrt(2 h / k) (1 + 2 e + 2 e^2) for the third time.

    k: the acceleration of the fall, a parameter of f; h: a start that lives in f.
    """

    class Ball(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k, self.h, self.e = (nn.Parameter(tensor(x)) for x in (9.8, 2.0, 0.8))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return torch.cat((y[1:], -self.k + 0 * y[:1]))

    f = Ball()
    t, y = tensor(0.0)[0], torch.cat((f.h, 0 * f.h))
    for _ in range(3):
        times = t + tensor(0.0, 5.0)
        solution = solve(f, y, times, event=Event(lambda t, y: y[0], direction=-1), **_smooth(mode))
        assert solution.event is not None
        t, y = solution.event.t, solution.event.y * torch.cat((0 * f.e + 1, -f.e))
    found = torch.autograd.grad(t, list(f.parameters()))
    k, h, e = (p.detach().requires_grad_() for p in f.parameters())
    true = torch.autograd.grad((2 * h / k).sqrt() * (1 + 2 * e + 2 * e**2), (k, h, e))
    assert not wrong(found, true, 1e-6)


@every_mode
def test_outputs_that_are_the_next_solves_starts_and_times_have_backprops_gradient(mode: str) -> None:
    """Each of three solves starts at the time that the one before says, by a clock among its states."""
    f = Field()
    t = T.clone().requires_grad_()

    def loss(way: dict[str, object]) -> Tensor:
        y, times, total = f.y0, t, torch.zeros((), dtype=torch.float64)
        for _ in range(3):
            states = solve(f, y, times, **way).y
            y, times = states[-1], times[-1] + T * (1 + states[1, 0].square() / 9)
            total = total + states[1].sum()
        return total + y.square().sum()

    leaves = [t, *f.parameters()]
    found, true = (gradients(lambda w=way: loss(w), leaves) for way in (how(mode), backprop_of(mode)))
    assert_lawful(found, true, mode)


def _smooth(mode: str) -> dict[str, object]:
    """Steps that solve a polynomial of degree two without an error."""
    return how(mode) | ({} if tolerance(mode) > 1e-8 else {"controller": FixedStep(dt=0.05)})
