"""Gradients through chains of solves, each of which starts at the end of another, with layers before and after."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import Event, FixedStep, solve
from tests.support.gradients import tensor
from tests.support.right_or_refused import (
    MODES,
    T,
    arguments_of,
    assert_right_or_refused,
    backprop_arguments_of,
    every_mode,
    gradients,
    mismatch,
    tolerance,
)


class Growth(nn.Module):
    """y' = a y, with a and the start y0 learnable; an encoder of the start is a submodule too."""

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
    """An encoder, a field and a decoder; the field holds another encoder and a learnable start y0."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.after = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(2))
        self.field = Field()

    def forward(self, x: Tensor, start: str, arguments: dict[str, object]) -> Tensor:
        y = {
            "encoder": lambda: self.before(x),
            "encoder in f": lambda: self.field.encoder(x),
            "in f": lambda: self.field.y0,
            "in both": lambda: self.before(x) + self.field.encoder(self.field.y0),
        }[start]()
        total = torch.zeros((), dtype=torch.float64)
        for _ in range(3):
            states = solve(self.field, y, T, **arguments).y
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
def test_a_learnable_start_that_is_a_parameter_of_f_has_its_gradient(mode: str) -> None:
    """One step of rk4 multiplies by R = 1 + z + z^2/2 + z^3/6 + z^4/24, z = a dt: dy/dy0 is R(-0.7) = 0.4978.

    The continuous and the interpolating adjoint take the same step of the adjoint equation, which multiplies by R too.
    """
    f = Growth()
    arguments = {"solver": "rk4", "controller": FixedStep(dt=1.0), "gradient": MODES[mode]}
    (of_y0,) = gradients(lambda: solve(f, f.y0, tensor(0.0, 1.0), **arguments).y[-1].sum(), [f.y0])
    assert of_y0.item() == pytest.approx(sum((-0.7) ** j / math.factorial(j) for j in range(5)), rel=1e-12)


@every_mode
def test_two_solves_in_a_row_have_the_gradient_of_one_solve(mode: str) -> None:
    """y(2) = y0 e^{2a}, y0 = 1: dy/da = 2 e^{2a} = 0.49319, dy/dy0 = e^{2a} = 0.24660."""
    f, t = Growth(), tensor(0.0, 1.0)
    nn.init.ones_(f.y0)
    arguments = arguments_of(mode) | ({"controller": FixedStep(dt=0.01)} if tolerance(mode) < 1e-8 else {})

    def end() -> Tensor:
        return solve(f, solve(f, f.y0, t, **arguments).y[-1], t, **arguments).y[-1].sum()

    found = [g.item() for g in gradients(end, [f.a, f.y0])]
    assert found == pytest.approx([2 * math.exp(-1.4), math.exp(-1.4)], rel=1e-7)


@every_mode
@pytest.mark.parametrize("start", ["encoder", "encoder in f", "in f", "in both"])
def test_three_solves_between_an_encoder_and_a_decoder_have_backprops_gradient(mode: str, start: str) -> None:
    net, x = Net(), tensor(0.3, -0.6, 1.1)
    found, true = (
        gradients(lambda w=arguments: net(x, start, w), net.parameters())
        for arguments in (arguments_of(mode), backprop_arguments_of(mode))
    )
    assert not mismatch(found, true, tolerance(mode))


@every_mode
def test_two_chains_that_share_f_have_backprops_gradient(mode: str) -> None:
    net, x = Net(), tensor(0.3, -0.6, 1.1)

    def loss(arguments: dict[str, object]) -> Tensor:
        return net(x, "encoder", arguments) * net(x, "in f", arguments)

    found, true = (
        gradients(lambda w=arguments: loss(w), net.parameters())
        for arguments in (arguments_of(mode), backprop_arguments_of(mode))
    )
    assert not mismatch(found, true, tolerance(mode))


@every_mode
def test_separate_backward_passes_through_a_retained_graph_add_up(mode: str) -> None:
    """Two losses of one chain, each with its own backward pass, leave the same `grad` as their sum."""
    f = Field()

    def grads_of(arguments: dict[str, object], *, together: bool) -> list[Tensor | None]:
        f.zero_grad()
        first = solve(f, f.encoder(f.y0), T, **arguments).y
        second = solve(f, first[-1], T, **arguments).y
        losses = first.square().sum(), second[1:].square().sum()
        for loss in (losses[0] + losses[1],) if together else losses:
            loss.backward(retain_graph=True)
        return [p.grad for p in f.parameters()]

    apart, together = grads_of(arguments_of(mode), together=False), grads_of(backprop_arguments_of(mode), together=True)
    assert not mismatch(apart, together, tolerance(mode))


@every_mode
def test_a_chain_of_solves_between_events_has_the_gradient_of_the_exact_formula(mode: str) -> None:
    """A ball dropped from height h with restitution e bounces for the third time at sqrt(2 h / k) (1 + 2 e + 2 e^2).

    k: the acceleration of the fall; h: the start; e: the restitution; all are parameters of f.
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
        solution = solve(
            f, y, times, event=Event(lambda t, y: y[0], direction=-1), **_arguments_exact_for_quadratics(mode)
        )
        assert solution.event is not None
        t, y = solution.event.t, solution.event.y * torch.cat((0 * f.e + 1, -f.e))
    found = torch.autograd.grad(t, list(f.parameters()))
    k, h, e = (p.detach().requires_grad_() for p in f.parameters())
    true = torch.autograd.grad((2 * h / k).sqrt() * (1 + 2 * e + 2 * e**2), (k, h, e))
    assert not mismatch(found, true, 1e-6)


@every_mode
def test_a_chain_whose_starts_and_times_come_from_outputs_has_backprops_gradient(mode: str) -> None:
    """The times of each of three solves depend on a state of the solve before."""
    f = Field()
    t = T.clone().requires_grad_()

    def loss(arguments: dict[str, object]) -> Tensor:
        y, times, total = f.y0, t, torch.zeros((), dtype=torch.float64)
        for _ in range(3):
            states = solve(f, y, times, **arguments).y
            y, times = states[-1], times[-1] + T * (1 + states[1, 0].square() / 9)
            total = total + states[1].sum()
        return total + y.square().sum()

    leaves = [t, *f.parameters()]
    found, true = (
        gradients(lambda w=arguments: loss(w), leaves)
        for arguments in (arguments_of(mode), backprop_arguments_of(mode))
    )
    assert_right_or_refused(found, true, mode)


def _arguments_exact_for_quadratics(mode: str) -> dict[str, object]:
    """The mode's arguments, with a fixed step of 0.05 in exact modes: any step is exact for a quadratic solution."""
    return arguments_of(mode) | ({} if tolerance(mode) > 1e-8 else {"controller": FixedStep(dt=0.05)})
