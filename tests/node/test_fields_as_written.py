"""Fields that reuse buffers, write into their arguments, return one tensor twice, tie weights or return no tensor."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, FixedStep, Solution, solve
from node.solvers import Solver
from tests.support.gradients import every_solver, tensor
from tests.support.right_or_refused import (
    MODES,
    T,
    arguments_of,
    assert_right_or_refused,
    backprop_arguments_of,
    every_mode,
    gradients,
    is_refusal,
    mismatch,
    none_if_refused,
)

Y0 = tensor(0.5, -0.3, 0.8)
W = tensor(0.3, -0.2, 0.5, 0.1, -0.4, 0.2, -0.3, 0.6, 0.2).view(3, 3)


def rate(t: Tensor, y: Tensor) -> Tensor:
    return torch.tanh(y @ W) * torch.cos(t)


class Buffers:
    """Fields that return dy/dt in a reused buffer: one, two in turn, a view of a longer one, or a detached one."""

    def __init__(self, kind: str):
        self.kind, self.calls = kind, 0
        self.kept = [torch.empty(3, dtype=torch.float64) for _ in range(2)]
        self.long = torch.empty(7, dtype=torch.float64)

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        if self.kind == "out":
            return torch.mul(torch.tanh(y @ W), torch.cos(t), out=self.kept[0])
        if self.kind == "a view":
            self.long[2:5] = rate(t, y)
            return self.long[2:5]
        kept = self.kept[self.calls % 2 if self.kind == "two in turn" else 0]
        kept.copy_(rate(t, y).detach())
        return kept.detach() if self.kind == "detached" else kept


def writes_into_y(t: Tensor, y: Tensor) -> Tensor:
    dy = rate(t, y)
    y.add_(1.0)
    return dy


def returns_y_changed_in_place(t: Tensor, y: Tensor) -> Tensor:
    return y.mul_(-0.5)


def writes_into_t(t: Tensor, y: Tensor) -> Tensor:
    dy = rate(t, y)
    t.add_(1.0)
    return dy


# Each field with the equivalent field that writes into nothing.
WRITERS: dict[str, tuple[Callable[[], Callable[..., Tensor]], Callable[..., Tensor]]] = {
    **{kind: (lambda kind=kind: Buffers(kind), rate) for kind in ("out", "one", "two in turn", "a view", "detached")},
    "into y": (lambda: writes_into_y, rate),
    "y itself": (lambda: returns_y_changed_in_place, lambda t, y: -0.5 * y),
    "into t": (lambda: writes_into_t, rate),
}


@every_solver
@pytest.mark.parametrize("writer", WRITERS)
def test_a_field_that_writes_into_its_results_or_arguments_is_solved_right_or_refused(
    writer: str, solver: Solver
) -> None:
    make, equivalent = WRITERS[writer]
    y0, t = Y0.clone(), T.clone()

    def solved(f: Callable[..., Tensor]) -> Solution[Tensor]:
        with torch.no_grad():
            return solve(f, y0, t, solver=solver, controller=FixedStep(dt=0.1))

    true = solved(equivalent).y
    found = none_if_refused(lambda: [solved(make()).y])
    assert torch.equal(y0, Y0)
    assert torch.equal(t, T)
    if found is not None:
        torch.testing.assert_close(found[0], true, rtol=1e-12, atol=0)


@every_mode
@pytest.mark.parametrize("writer", ["a view", "into y", "y itself", "into t"])
def test_a_field_that_writes_into_its_results_or_arguments_has_the_gradient_or_is_refused(
    mode: str, writer: str
) -> None:
    """The other buffers hold detached numbers, so that no gradient flows through them."""
    make, equivalent = WRITERS[writer]
    y0 = Y0.clone().requires_grad_()

    def loss(f: Callable[..., Tensor], arguments: dict[str, object]) -> Tensor:
        return solve(f, y0, T, parameters=(), max_steps=1000, **arguments).y.square().sum()

    true = gradients(lambda: loss(equivalent, backprop_arguments_of(mode)), [y0])
    assert_right_or_refused(
        none_if_refused(lambda: gradients(lambda: loss(make(), arguments_of(mode)), [y0])), true, mode
    )


class Twice(nn.Module):
    """A field of a state of two parts that returns one tensor as the derivative of both."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3, dtype=torch.float64)
        nn.init.constant_(self.inner.weight, 0.3)
        nn.init.constant_(self.inner.bias, 0.1)

    def forward(self, t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        dy = torch.tanh(self.inner(y[0])) * torch.cos(t)
        return dy, dy


@every_mode
def test_a_tensor_that_f_returns_for_two_parts_gets_the_gradients_of_both(mode: str) -> None:
    f = Twice()

    def loss(arguments: dict[str, object]) -> Tensor:
        a, b = solve(f, (Y0, Y0), T, **arguments).y
        return a.square().sum() + b.sum()

    found, true = (
        gradients(lambda w=arguments: loss(w), f.parameters())
        for arguments in (arguments_of(mode), backprop_arguments_of(mode))
    )
    assert not mismatch(found, true, 1e-6)


@every_mode
def test_a_parameter_that_f_returns_in_every_call_keeps_no_hooks(mode: str) -> None:
    """y' = p returns the parameter itself; dy(1)/dp = 1."""
    p = nn.Parameter(Y0.clone())
    (found,) = gradients(lambda: solve(lambda t, y: p, Y0, T, parameters=(p,), **arguments_of(mode)).y[-1].sum(), [p])
    torch.testing.assert_close(found, torch.ones_like(p), rtol=1e-9, atol=0)
    assert not p._backward_hooks
    calls: list[Tensor] = []
    p.register_hook(calls.append)
    p.sum().backward()
    assert len(calls) == 1


class Tied(nn.Module):
    """A module that holds a submodule and a parameter under two names each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(2))
        self.c = self.a
        self.weight = self.b.weight

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.c(torch.tanh(self.a(y)) @ self.weight)) - self.b(y) / 4


@every_mode
@pytest.mark.parametrize("solver", ["dopri5", "rodas4", "rodas5p", "implicit_euler"])
@pytest.mark.parametrize("changed", [False, True], ids=["unchanged", "with a submodule replaced before backward"])
def test_tied_weights_have_their_gradient_and_stay_tied(mode: str, solver: str, changed: bool) -> None:
    if MODES[mode].unsupported(SOLVERS[solver]):
        return
    true_f, f = Tied(), Tied()
    arguments = {"solver": solver, "controller": FixedStep(dt=0.02 if solver == "dopri5" else 0.1)}
    true = gradients(lambda: solve(true_f, Y0, T, gradient="backprop", **arguments).y.sum(), true_f.parameters())
    leaves = list(f.parameters())
    loss = solve(f, Y0, T, gradient=MODES[mode], **arguments).y.sum()
    if changed:
        f.b = nn.Linear(3, 3, dtype=torch.float64)
    before = {name: id(x) for name, x in f.named_parameters(remove_duplicate=False)}
    found = gradients(lambda: loss, leaves)
    assert {name: id(x) for name, x in f.named_parameters(remove_duplicate=False)} == before
    assert f.c is f.a
    exact = MODES[mode].exactness.startswith("exact")
    assert not mismatch(found, true, 1e-9 if exact else 1e-6 if solver == "dopri5" else 0.2)


@every_mode
@pytest.mark.parametrize(
    ("field", "error"),
    [
        (lambda t, y: None, TypeError),
        (lambda t, y: (x for x in (y,)), TypeError),
        (lambda t, y: y.to("meta"), ValueError),
        (lambda t, y: 0.0, TypeError),
        (lambda t, y: y.numpy(force=True), TypeError),
        (lambda t, y: {"dy": y}, TypeError),
        (lambda t, y: y.to_sparse(), ValueError),
    ],
    ids=["None", "a generator", "another device", "a float", "an array", "a dict", "a sparse tensor"],
)
def test_a_field_that_returns_no_tensor_like_the_state_is_refused_in_one_line(
    mode: str, field: Any, error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        solve(field, Y0.clone().requires_grad_(), T, parameters=(), **arguments_of(mode))
    assert is_refusal(refused.value)


@every_mode
def test_a_deep_copy_of_a_solved_module_is_solved_alike_and_independently(mode: str) -> None:
    f = Tied()
    solve(f, Y0, T, **arguments_of(mode)).y.sum().backward()
    other = copy.deepcopy(f)
    other.zero_grad()
    solve(other, Y0, T, **arguments_of(mode)).y.sum().backward()
    torch.testing.assert_close([p.grad for p in other.parameters()], [p.grad for p in f.parameters()])
