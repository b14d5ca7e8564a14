"""Fields that change between the passes: the gradient is that of f in the forward pass, or it is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from node import FixedStep, solve
from node.models import MLP
from tests.support.gradients import tensor
from tests.support.right_or_refused import (
    T,
    arguments_of,
    assert_right_or_refused,
    backprop_arguments_of,
    every_mode,
    gradients,
    is_refusal,
    none_if_refused,
)

Y0 = tensor(0.5, -0.3, 0.8)


class Field(nn.Module):
    """A net with one of everything that a user may change: parameters, buffers, attributes, containers, layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(2))
        self.a = nn.Parameter(tensor(0.7))
        self.register_buffer("gain", tensor(1.1))
        self.rate, self.nfe = 0.9, 0
        self.given = tensor(0.2, 0.1, -0.4)
        self.values, self.table, self.array = [1.2], {"c": 0.8}, np.array([0.3, 0.2, 0.1])
        self.dropout = nn.Dropout(0.0)
        self.cell = tensor(0.4)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.nfe += 1
        x = torch.tanh(self.inner(y) * self.gain + self.given + torch.from_numpy(self.array.copy()))
        x = self.a * self.rate * self.values[0] * self.table["c"] * self.outer(self.dropout(x))
        return x * torch.cos(t) if self.training else x

    def leaves(self) -> list[Tensor]:
        return list(self.parameters())


def _rebind(f: Field) -> None:
    f.given = f.given + 1.0


def _new_parameter(f: Field) -> None:
    f.a = nn.Parameter(tensor(2.0))


def _new_submodule(f: Field) -> None:
    f.inner = nn.Linear(3, 3, dtype=torch.float64)


def _data(f: Field) -> None:
    f.a.data = tensor(2.0)


CHANGES: dict[str, Callable[[Field], Any]] = {
    "a buffer in place": lambda f: f.gain.mul_(3),
    "a buffer": lambda f: setattr(f, "gain", f.gain * 3),
    "a float": lambda f: setattr(f, "rate", 0.1),
    "an attribute in place": lambda f: f.given.add_(1.0),
    "an attribute": _rebind,
    "a list": lambda f: f.values.__setitem__(0, 3.0),
    "a dict": lambda f: f.table.update(c=3.0),
    "an array": lambda f: f.array.fill(1.0),
    "a parameter": _new_parameter,
    "a parameter's numbers": _data,
    "a parameter in place": lambda f: f.a.detach().mul_(2),
    "a submodule": _new_submodule,
    "its mode": lambda f: f.eval(),
    "nothing": lambda f: None,
}


def state_of(f: nn.Module) -> dict[str, Any]:
    """The attributes, tensors and modules of f by name; a backward pass may change nothing of them but `nfe`."""
    plain = {k: v for k, v in vars(f).items() if isinstance(v, float | list | dict) and not k.startswith("_")}
    tensors = {k: (id(x), x.tolist()) for k, x in f.state_dict(keep_vars=True).items()}
    kept = {name: (id(m), m.training) for name, m in f.named_modules()}
    return {**{k: repr(v) for k, v in plain.items()}, **tensors, **{f"module {k}": v for k, v in kept.items()}}


@every_mode
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_the_passes_is_refused_or_leaves_the_gradient_alone(mode: str, change: str) -> None:
    """After the backward pass f is as the user has changed it."""
    still, f = Field(), Field()
    true = gradients(lambda: solve(still, Y0, T, **backprop_arguments_of(mode)).y.square().sum(), still.leaves())
    leaves = f.leaves()
    loss = solve(f, Y0, T, **arguments_of(mode)).y.square().sum()
    CHANGES[change](f)
    before = state_of(f)
    found = none_if_refused(lambda: gradients(lambda: loss, leaves))
    assert state_of(f) == before
    assert_right_or_refused(found, true, mode)
    assert found is not None or change != "nothing"


@every_mode
@pytest.mark.parametrize("where", ["an attribute", "a closure", "a buffer"])
def test_data_swapped_between_solves_have_the_gradient_of_each_solve_or_are_refused(mode: str, where: str) -> None:
    """A loop of three solves, each with its own data, is followed by one backward pass."""

    def run(arguments: dict[str, object], leaves: list[Tensor] | None = None) -> tuple[Field, Tensor]:
        f, y, drive = Field(), Y0, tensor(0.0)

        def driven(t: Tensor, y: Tensor) -> Tensor:
            return f(t, y) * drive

        for i in range(3):
            drive = tensor(1.0 + i)
            if where == "an attribute":
                f.given = tensor(0.1 * i, -0.3, 0.2 * i)
            if where == "a buffer":
                f.gain = tensor(1.0 + i / 2)
            y = solve(driven if where == "a closure" else f, y, T, **arguments).y[-1]
        return f, y.square().sum()

    def found(arguments: dict[str, object]) -> list[Tensor]:
        f, loss = run(arguments)
        return gradients(lambda: loss, f.leaves())

    assert_right_or_refused(
        none_if_refused(lambda: found(arguments_of(mode))), found(backprop_arguments_of(mode)), mode
    )


class Noisy(nn.Module):
    """A net with a layer that changes in each call."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.first, self.layer = nn.Linear(3, 3, dtype=torch.float64), layer

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.layer(self.first(y))) * torch.cos(t)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "dropout": lambda: nn.Dropout(0.5),
    "batch norm": lambda: nn.BatchNorm1d(3, dtype=torch.float64),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3, dtype=torch.float64)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3, dtype=torch.float64)),
}


@every_mode
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_changes_in_each_call_has_backprops_gradient_or_is_refused(mode: str, layer: str) -> None:
    """The gradient, the buffers and the random numbers drawn afterwards equal those of backprop.

    Steps are fixed in all modes: an error estimate of a noisy field means nothing.
    """

    def trained(arguments: dict[str, object]) -> tuple[list[Tensor], list[Tensor]]:
        torch.manual_seed(1)
        f, y0 = Noisy(LAYERS[layer]()), torch.randn(4, 3, dtype=torch.float64)
        found = gradients(lambda: solve(f, y0, T, **arguments).y.square().sum(), f.parameters())
        return found, [*f.buffers(), torch.rand(3)]

    arguments = arguments_of(mode, controller=FixedStep(dt=0.02))
    if layer == "dropout" and mode in ("adjoint", "interpolating"):
        with pytest.raises((ValueError, RuntimeError)) as refused:
            trained(arguments)
        assert is_refusal(refused.value)
        return
    true, buffers = trained({**arguments, "gradient": "backprop"})
    result = None

    def train() -> list[Tensor]:
        nonlocal result
        result = trained(arguments)
        return result[0]

    assert_right_or_refused(none_if_refused(train), true, mode)
    if result is not None:
        for a, b in zip(result[1], buffers, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@every_mode
@pytest.mark.parametrize("reset", [False, True])
def test_a_call_counter_in_f_continues_from_the_value_that_the_user_has_set(mode: str, reset: bool) -> None:
    f = Field()
    solution = solve(f, Y0, T, **arguments_of(mode))
    forwards = f.nfe
    assert solution.stats.nfe_forward <= forwards <= solution.stats.nfe_forward + 1  # one call finds what f depends on
    f.nfe = 0 if reset else f.nfe
    solution.y.square().sum().backward()
    assert f.nfe == (0 if reset else forwards) + solution.stats.nfe_backward


@every_mode
def test_a_second_backward_pass_gives_the_same_gradient(mode: str) -> None:
    f = Field()
    loss = solve(f, Y0, T, **arguments_of(mode)).y.square().sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in f.parameters()]
    f.zero_grad()
    loss.backward()
    torch.testing.assert_close([p.grad for p in f.parameters()], first, rtol=0, atol=1e-14)


class Closing:
    """A callable object that counts arguments_of often `__del__` is called, as an open file closes itself there."""

    ends = 0

    def __init__(self, net: nn.Module):
        self.net = net

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(t, y)

    def __del__(self) -> None:
        Closing.ends += 1


@every_mode
def test_a_solve_does_not_call_del_of_the_vector_field(mode: str) -> None:
    Closing.ends, field = 0, Closing(MLP(2, width=3).double())
    solve(field, tensor(0.3, -0.2), T, **arguments_of(mode)).y.sum().backward()
    assert Closing.ends == 0
    assert field.net.net[0].weight.grad is not None
