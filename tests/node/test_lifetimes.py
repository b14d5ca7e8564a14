"""When the results of a solve are gone, not a byte of its memory is left."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from node import Event, FixedStep, odeint, odeint_adjoint, odeint_event, solve
from tests.support.gradients import tensor
from tests.support.live_bytes import LiveBytes
from tests.support.right_or_refused import MODES, arguments_of, every_mode

T0 = 2.0**30  # at such a late start the search for an event takes 22 bisections, not 52
T = T0 + tensor(0.0, 0.5, 1.0)
KINDS: dict[str, dict[str, Any]] = {
    "joint": {},
    "dense": {"dense": True},
    "event": {"event": Event(lambda t, y: t - T0 - 0.75)},
    "dense and event": {"dense": True, "event": Event(lambda t, y: t - T0 - 0.75)},
    "independent": {"batch": "independent"},
}
CASES = [
    (mode, kind)
    for mode, value in MODES.items()
    for kind, given in KINDS.items()
    if (value.dense or not given.get("dense")) and (value.independent or "batch" not in given)
]


class Field(nn.Module):
    """A net with places to keep results: an attribute, a list and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3, dtype=torch.float64)
        self.y0 = nn.Parameter(torch.ones(2, 3, dtype=torch.float64))
        self.kept: Any = None
        self.shelf: list[Any] = []
        self.table: dict[str, Any] = {}

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(self.inner(y)) * torch.cos(t)


def arguments_with_two_steps(mode: str) -> dict[str, Any]:
    return arguments_of(mode, controller=FixedStep(dt=0.5))


@pytest.mark.parametrize(("mode", "kind"), CASES, ids=lambda x: x)
def test_as_many_bytes_are_live_after_fifty_solves_as_after_two(mode: str, kind: str) -> None:
    """Every other solve has no backward pass. Bytes are followed in the first two solves and in the last eight."""
    f = Field()

    def training_step(*, backward: bool) -> None:
        solution = solve(f, f.y0, T, **arguments_with_two_steps(mode), **KINDS[kind])
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


def _keep_sums_and_slices(f: Field, y: Tensor) -> None:
    f.shelf.append((y.sum(), y[-1], y[0, :1]))


def _solution_of(f: Field, arguments: dict[str, Any]) -> Any:
    return solve(f, f.y0, T, **arguments)


# Ways in which a module keeps its own solution, which makes a reference cycle.
KEEPERS: dict[str, Callable[[Field, dict[str, Any]], object]] = {
    "the states": lambda f, arguments: setattr(f, "kept", _solution_of(f, arguments).y),
    "the solution": lambda f, arguments: setattr(f, "kept", _solution_of(f, arguments)),
    "in a list": lambda f, arguments: f.shelf.append(_solution_of(f, arguments).y),
    "in a dict": lambda f, arguments: f.table.update(y=_solution_of(f, arguments).y),
    "slices and sums": lambda f, arguments: _keep_sums_and_slices(f, _solution_of(f, arguments).y),
    "an event's time": lambda f, arguments: setattr(
        f, "kept", solve(f, f.y0, T, event=KINDS["event"]["event"], **arguments).event
    ),
    "of a lambda over it": lambda f, arguments: setattr(f, "kept", solve(lambda t, y: f(t, y), f.y0, T, **arguments).y),
    "of its bound method": lambda f, arguments: setattr(f, "kept", solve(f.forward, f.y0, T, **arguments).y),
    "a chain": lambda f, arguments: setattr(f, "kept", solve(f, _solution_of(f, arguments).y[-1], T, **arguments).y),
    "of times that need gradients": lambda f, arguments: setattr(
        f, "kept", solve(f, f.y0, T.clone().requires_grad_(), **arguments).y
    ),
}
DENSE_KEEPERS: dict[str, Callable[[Field, dict[str, Any]], object]] = {
    "dense output": lambda f, arguments: setattr(f, "kept", solve(f, f.y0, T, dense=True, **arguments).dense),
    "a state of dense output": lambda f, arguments: f.shelf.append(
        solve(f, f.y0, T, dense=True, **arguments).dense(T0 + 0.3)
    ),
}


@pytest.mark.parametrize("keeper", KEEPERS | DENSE_KEEPERS)
@every_mode
def test_a_module_that_keeps_its_own_solution_is_freed(mode: str, keeper: str) -> None:
    """The module is freed with and without a backward pass."""
    keep = (KEEPERS | DENSE_KEEPERS)[keeper]
    if keeper in DENSE_KEEPERS and not MODES[mode].dense:
        return
    with LiveBytes() as live:
        _freed_after(
            keep, arguments_with_two_steps(mode), backward=True
        )  # the first solve fills the caches of the tableaus
        before = live.now()
        references = [
            _freed_after(keep, arguments_with_two_steps(mode), backward=backward) for backward in (False, True)
        ]
        after = live.now()
    assert [field() for field in references] == [None, None]
    assert after == before


def _freed_after(keep: Callable[..., object], arguments: dict[str, Any], *, backward: bool) -> "weakref.ref[Field]":
    """A weak reference to a field that kept its solution; a mode that needs `parameters` for a function keeps none."""
    f = Field()
    try:
        keep(f, arguments)
    except ValueError as error:
        if "parameters" not in str(error):
            raise
    if backward:
        _backward(f)
    return weakref.ref(f)


def _backward(f: Field) -> None:
    """Call `backward` on the first kept tensor that has a graph."""
    kept = [f.kept, *f.shelf, *f.table.values()]
    kept = [x.y if hasattr(x, "stats") else x for x in kept]
    for x in kept:
        for part in x if isinstance(x, tuple) else (x,):
            if isinstance(part, Tensor) and part.requires_grad:
                part.nansum().backward()
                return


@pytest.mark.parametrize("interface", [odeint, odeint_adjoint, odeint_event], ids=lambda f: f.__name__)
def test_a_module_that_keeps_a_solution_of_odeint_is_freed(interface: Callable[..., Any]) -> None:
    f = Field()
    given = {"event_fn": lambda t, y: t - T0 - 0.8} if interface is odeint_event else {"t": T}
    t0 = {"t0": T[0]} if interface is odeint_event else {}
    f.kept = interface(f, f.y0, **t0, **given, method="rk4", options={"step_size": 0.25})
    f.forward = f.forward  # type: ignore[method-assign]  # a reference cycle, as in programs that wrap a method
    references = weakref.ref(f)
    del f
    gc.collect()
    assert references() is None


@every_mode
def test_a_kept_state_holds_its_graph_which_is_freed_with_it(mode: str) -> None:
    """The graph of a state is freed with the state, though f is kept."""
    f = Field()
    with LiveBytes() as live:
        solve(f, f.y0, T, **arguments_with_two_steps(mode))
        before = live.now()
        y = solve(f, f.y0, T, **arguments_with_two_steps(mode)).y[-1]
        held = live.now()
        del y
        after = live.now()
    assert held > before
    assert after == before
