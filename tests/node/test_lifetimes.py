"""What a solve leaves in memory when its results are gone: nothing, to the byte."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from node import Event, FixedStep, odeint, odeint_adjoint, odeint_event, solve
from tests.support.gradients import tensor
from tests.support.lawful import MODES, every_mode, how
from tests.support.live_bytes import LiveBytes

T0 = 2.0**30  # so late a start leaves the search for an event 22 halvings, not 52
T = T0 + tensor(0.0, 0.5, 1.0)
WAYS: dict[str, dict[str, Any]] = {
    "joint": {},
    "dense": {"dense": True},
    "event": {"event": Event(lambda t, y: t - T0 - 0.75)},
    "dense and event": {"dense": True, "event": Event(lambda t, y: t - T0 - 0.75)},
    "independent": {"batch": "independent"},
}
CASES = [
    (mode, way)
    for mode, value in MODES.items()
    for way, given in WAYS.items()
    if (value.dense or not given.get("dense")) and (value.independent or "batch" not in given)
]


class Field(nn.Module):
    """A net that remembers whatever it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3, dtype=torch.float64)
        self.y0 = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
        self.kept: Any = None
        self.shelf: list[Any] = []
        self.table: dict[str, Any] = {}

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.inner(y)) * torch.cos(t)


def coarse(mode: str) -> dict[str, Any]:
    return how(mode, controller=FixedStep(dt=0.5))


@pytest.mark.parametrize(("mode", "way"), CASES, ids=lambda x: x)
def test_after_fifty_solves_as_many_bytes_live_as_after_two(mode: str, way: str) -> None:
    """Every other one has no backward pass. Of the first two and the last eight each byte is followed."""
    f = Field()

    def training_step(*, backward: bool) -> None:
        solution = solve(f, f.y0, T, **coarse(mode), **WAYS[way])
        loss = solution.y.nansum() + (0.0 if solution.event is None else solution.event.t)
        if solution.dense is not None:
            loss = loss + solution.dense(T0 + 0.3).sum()
        if backward:
            loss.backward()

    live = LiveBytes()
    with live:
        for i in range(2):
            training_step(backward=i % 2 == 0)
        after_two = live.now()
    for i in range(40):
        training_step(backward=i % 2 == 0)
    with live:
        for i in range(8):
            training_step(backward=i % 2 == 0)
        assert live.now() == after_two


def _sums(f: Field, y: Tensor) -> None:
    f.shelf.append((y.sum(), y[-1], y[0, :1]))


def _module(f: Field, way: dict[str, Any]) -> Any:
    return solve(f, f.y0, T, **way)


# How a module keeps its own solution.
KEEPERS: dict[str, Callable[[Field, dict[str, Any]], object]] = {
    "the states": lambda f, way: setattr(f, "kept", _module(f, way).y),
    "the solution": lambda f, way: setattr(f, "kept", _module(f, way)),
    "in a list": lambda f, way: f.shelf.append(_module(f, way).y),
    "in a dict": lambda f, way: f.table.update(y=_module(f, way).y),
    "slices and sums": lambda f, way: _sums(f, _module(f, way).y),
    "an event's time": lambda f, way: setattr(f, "kept", solve(f, f.y0, T, event=WAYS["event"]["event"], **way).event),
    "of a lambda over it": lambda f, way: setattr(f, "kept", solve(lambda t, y: f(t, y), f.y0, T, **way).y),
    "of its bound method": lambda f, way: setattr(f, "kept", solve(f.forward, f.y0, T, **way).y),
    "a chain": lambda f, way: setattr(f, "kept", solve(f, _module(f, way).y[-1], T, **way).y),
    "of times that need gradients": lambda f, way: setattr(
        f, "kept", solve(f, f.y0, T.clone().requires_grad_(), **way).y
    ),
}
DENSE_KEEPERS: dict[str, Callable[[Field, dict[str, Any]], object]] = {
    "dense output": lambda f, way: setattr(f, "kept", solve(f, f.y0, T, dense=True, **way).dense),
    "a state of dense output": lambda f, way: f.shelf.append(solve(f, f.y0, T, dense=True, **way).dense(T0 + 0.3)),
}


@pytest.mark.parametrize("keeper", KEEPERS | DENSE_KEEPERS)
@every_mode
def test_a_module_that_keeps_its_own_solution_dies(mode: str, keeper: str) -> None:
    """Whether it has had its backward pass or not."""
    keep = (KEEPERS | DENSE_KEEPERS)[keeper]
    if keeper in DENSE_KEEPERS and not MODES[mode].dense:
        return
    with LiveBytes() as live:
        _kept_by(keep, coarse(mode), backward=True)  # the first solve fills what solvers keep of their tableaus
        before = live.now()
        dead = [_kept_by(keep, coarse(mode), backward=backward) for backward in (False, True)]
        after = live.now()
    assert [field() for field in dead] == [None, None]
    assert after == before


def _kept_by(keep: Callable[..., object], way: dict[str, Any], *, backward: bool) -> "weakref.ref[Field]":
    """A field that has kept its solution and is gone; where a plain function's parameters must be told, without one."""
    f = Field()
    try:
        keep(f, way)
    except ValueError as error:
        if "parameters" not in str(error):
            raise
    if backward:
        _backward(f)
    return weakref.ref(f)


def _backward(f: Field) -> None:
    """From the first tensor with a graph that the module has kept."""
    kept = [f.kept, *f.shelf, *f.table.values()]
    kept = [x.y if hasattr(x, "stats") else x for x in kept]
    for x in kept:
        for part in x if isinstance(x, tuple) else (x,):
            if isinstance(part, Tensor) and part.requires_grad:
                part.nansum().backward()
                return


@pytest.mark.parametrize("interface", [odeint, odeint_adjoint, odeint_event], ids=lambda f: f.__name__)
def test_a_module_that_keeps_torchdiffeqs_solution_dies(interface: Callable[..., Any]) -> None:
    f = Field()
    given = {"event_fn": lambda t, y: t - T0 - 0.8} if interface is odeint_event else {"t": T}
    t0 = {"t0": T[0]} if interface is odeint_event else {}
    f.kept = interface(f, f.y0, **t0, **given, method="rk4", options={"step_size": 0.25})
    f.forward = f.forward  # type: ignore[method-assign]  # as a program that wraps its own method does
    dead = weakref.ref(f)
    del f
    gc.collect()
    assert dead() is None


@every_mode
def test_results_that_are_kept_hold_what_their_backward_pass_needs_and_no_more(mode: str) -> None:
    """Of one state that is kept the graph lives, and dies with it, though f lives on."""
    f = Field()
    with LiveBytes() as live:
        solve(f, f.y0, T, **coarse(mode))
        before = live.now()
        y = solve(f, f.y0, T, **coarse(mode)).y[-1]
        held = live.now()
        del y
        after = live.now()
    assert held > before
    assert after == before
