"""Gradients of the tensors that a field reads: from replicas, closures, globals and caches, in some calls or in all."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from node import FixedStep, NeuralODE, solve
from node.models import MLP
from tests.support.gradients import tensor
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
GLOBAL_W = tensor(0.0)  # a test replaces it and reads it under this global name
W = tensor(0.3, -0.2, 0.5, 0.1, -0.4, 0.2, -0.3, 0.6, 0.2).view(3, 3)


def replica_of(module: nn.Module) -> nn.Module:
    """A replica as made by `nn.parallel.replicate`: its parameters are attributes, copies with a graph."""
    copies = {id(m): m._replicate_for_data_parallel() for m in module.modules()}
    for m in module.modules():
        replica = copies[id(m)]
        replica._former_parameters = {}
        for name, child in m._modules.items():
            replica._modules[name] = None if child is None else copies[id(child)]
        for name, p in m._parameters.items():
            if p is not None:
                setattr(replica, name, p * 1.0)
                replica._former_parameters[name] = getattr(replica, name)
    return copies[id(module)]


@every_mode
@pytest.mark.parametrize("wrapped", [False, True], ids=["the field", "NeuralODE"])
def test_a_replica_passes_its_gradients_to_its_module(mode: str, wrapped: bool) -> None:
    torch.manual_seed(0)
    field = MLP(3, width=4).double()
    module = NeuralODE(field, **arguments_of(mode)) if wrapped else field
    y0 = torch.randn(2, 3, dtype=torch.float64)

    def loss(of: Any) -> Tensor:
        return (of(y0, T) if wrapped else solve(of, y0, T, **arguments_of(mode)).y).square().sum()

    true = gradients(lambda: solve(field, y0, T, **backprop_arguments_of(mode)).y.square().sum(), field.parameters())
    found = none_if_refused(lambda: gradients(lambda: loss(replica_of(module)), field.parameters()))
    assert_right_or_refused(found, true, mode)
    assert found is not None, "a replica is a module: it is right, not refused"


class _HoldsTensor(nn.Module):
    def __init__(self, w: Any):
        super().__init__()
        self.w = w

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        w = self.w[0] if isinstance(self.w, list) else self.w
        return torch.tanh(y @ w) * torch.cos(t)


def _with_held(call: Callable[[Any, Tensor, Tensor], Tensor], held: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: call(held, t, y)


def _by_default(given: list[nn.Module]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y, held=given: held[0](t, y)


HOLDERS: dict[str, Callable[[Tensor], Any]] = {
    "a closure": lambda w: lambda t, y: torch.tanh(y @ w) * torch.cos(t),
    "a default": lambda w: lambda t, y, w=w: torch.tanh(y @ w) * torch.cos(t),
    "an attribute": _HoldsTensor,
    "a list": lambda w: _HoldsTensor([w]),
    "a bound method": lambda w: _HoldsTensor(w).forward,
    "a module in a list": lambda w: _with_held(lambda held, t, y: held[0](t, y), [_HoldsTensor(w), 0]),
    "a module in a dictionary": lambda w: _with_held(lambda held, t, y: held["f"][0](t, y), {"f": [_HoldsTensor(w)]}),
    "a default's list": lambda w: _by_default([_HoldsTensor(w)]),
}


@every_mode
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("what", ["a leaf", "exp of a leaf", "exp of a parameter of f"])
def test_a_tensor_from_outside_of_f_gets_its_gradient(mode: str, holder: str, what: str) -> None:
    """Two solves in a row; a tensor computed from a parameter of f counts once, or is refused."""
    p = nn.Parameter(W.clone())

    def loss(arguments: dict[str, object]) -> Tensor:
        f = HOLDERS[holder](p if what == "a leaf" else torch.exp(p) / 3)
        if what == "exp of a parameter of f" and isinstance(f, nn.Module):
            f.own = p
        return solve(f, solve(f, Y0, T, **arguments).y[-1], T, **arguments).y.square().sum()

    true = gradients(lambda: loss(backprop_arguments_of(mode)), [p])
    found = none_if_refused(lambda: gradients(lambda: loss(arguments_of(mode)), [p]))
    assert_right_or_refused(found, true, mode)
    assert found is not None or (mode == "forward" and what == "exp of a parameter of f")


@every_mode
@pytest.mark.parametrize("start", [0.0, 0.4])
def test_a_tensor_read_by_a_global_name_too_gets_its_whole_gradient_or_is_refused(
    mode: str, start: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The global name is read from the start on, or at later times only."""
    p = nn.Parameter(W.clone())

    def loss(arguments: dict[str, object]) -> Tensor:
        w = torch.exp(p) / 3
        monkeypatch.setattr(sys.modules[__name__], "GLOBAL_W", w)
        f = _HoldsTensor(w)

        def field(t: Tensor, y: Tensor) -> Tensor:
            return f(t, y) + torch.sin(y @ GLOBAL_W) if t >= start else f(t, y)

        return solve(field, Y0, T, **arguments).y.square().sum()

    true = gradients(lambda: loss(backprop_arguments_of(mode)), [p])
    assert_right_or_refused(none_if_refused(lambda: gradients(lambda: loss(arguments_of(mode)), [p])), true, mode)


class Cached(nn.Module):
    """A field that computes a tensor in its first call and reads it in all calls."""

    def __init__(self, p: Tensor):
        super().__init__()
        self.p, self.w = p, None

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.w = torch.exp(self.p) / 3 if self.w is None else self.w
        return torch.tanh(y @ self.w)


def _by_intervals(rows: tuple[Tensor, ...]) -> Any:
    return lambda t, y: torch.tanh(y * rows[min(2, int(3 * t))])


class Late(nn.Module):
    """A field that reads a tensor in later calls only."""

    def __init__(self, p: Tensor):
        super().__init__()
        self.p = p

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.p) * (t - 0.3) ** 2 if t > 0.3 else -y * (t - 0.3) ** 2


def _listed(f: nn.Module) -> Any:
    held = [f]
    return lambda t, y: held[0](t, y)


# Fields whose calls do not all read the same tensors.
READERS: dict[str, Callable[[Tensor], Any]] = {
    "late": Late,
    "late, in a closure": lambda p: lambda t, y: Late.forward(SimpleNamespace(p=p), t, y),
    "late, in a list": lambda p: _listed(Late(p)),
    "late, of a bound method": lambda p: Late(p).forward,
    "by the state": lambda p: lambda t, y: torch.tanh(y @ p) if y.sum() > 0.9 else -y,
    "by intervals": lambda p: _by_intervals(p.unbind()),
    "from a cache": Cached,
}


@every_mode
@pytest.mark.parametrize("start", ["a leaf", "a constant"])
@pytest.mark.parametrize("reader", READERS)
def test_a_tensor_read_in_some_calls_only_gets_its_gradient_or_is_refused(mode: str, reader: str, start: str) -> None:
    """Steps are fixed in every mode, as f may jump."""
    p, y0 = W.clone().requires_grad_(), Y0.clone().requires_grad_(start == "a leaf")
    arguments = arguments_of(mode, controller=FixedStep(dt=0.05))

    def loss(gradient: object) -> Tensor:
        return solve(READERS[reader](p), y0, T, **{**arguments, "gradient": gradient}).y.square().sum()

    leaves = [p, y0] if start == "a leaf" else [p]
    true = gradients(lambda: loss("backprop"), leaves)
    found = none_if_refused(lambda: gradients(lambda: loss(arguments["gradient"]), leaves))
    assert found is None or not mismatch(found, true, 1e-9 if MODES[mode].exactness.startswith("exact") else 0.1)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "backprop"])
def test_a_single_tensor_as_parameters_is_refused(mode: str) -> None:
    """Iterated over, it would give its rows, on which f does not depend."""
    p = W.clone().requires_grad_()
    with pytest.raises(TypeError, match="parameters") as refused:
        solve(lambda t, y: torch.tanh(y @ p), Y0, T, parameters=p, **arguments_of(mode))
    assert is_refusal(refused.value)
