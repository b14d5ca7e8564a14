"""Random programs as users write them: layers, a chain of solves, layers and a loss."""

import functools
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from node import Event, solve
from tests.support.random_fields import Draw, Field, N, joined, parted, state_like


@dataclass
class Program:
    """A program: an encoder, a chain of solves, a decoder and a loss, with leaves that require grad."""

    draw: Draw
    f: Field = field(init=False)
    encoder: nn.Linear = field(init=False)
    decoder: nn.Linear = field(init=False)

    def __post_init__(self) -> None:
        previous = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with torch.random.fork_rng():
                torch.manual_seed(self.draw.seed)
                self._make()
        finally:
            torch.set_default_dtype(previous)

    def _make(self) -> None:
        draw = self.draw
        self.f, self.encoder, self.decoder = Field(draw), nn.Linear(N, N), nn.Linear(N, N)
        self.input, self.weights = torch.randn(N), torch.randn(N)
        self.like = state_like(draw.state)
        rows = (3, N) if draw.state == "batch" else (N,)
        self.y0 = torch.randn(rows) / 2
        self.y0.requires_grad_(draw.start == "leaf")
        self.leaf = (1 + torch.rand(N) / 2).requires_grad_()
        times = torch.tensor([0.0, 0.21, 0.33, 0.5])[[0, *range(4 - draw.outputs + 1, 4)]]
        self.times = (-times if draw.decreasing else times).requires_grad_(draw.times_need_gradient)
        if draw.buffer == "replaced":
            self.f.gain = self.f.gain * 1.5
        if draw.buffer == "from a leaf":
            self.f.gain = self.leaf

    @property
    def leaves(self) -> dict[str, Tensor]:
        """All leaves in which a gradient may be taken, by name."""
        named = {f"f.{name}": p for name, p in self.f.named_parameters()}
        named |= {f"encoder.{name}": p for name, p in self.encoder.named_parameters()}
        named |= {f"decoder.{name}": p for name, p in self.decoder.named_parameters()}
        named["leaf"] = self.leaf
        return named | {name: x for name, x in (("y0", self.y0), ("t", self.times)) if x.requires_grad}

    def loss(self, **how: Any) -> Tensor:
        """The loss of the program; `how` are arguments of all its solves."""
        context = self._context()
        f = self._as_called(context)
        given = (*self.f.parameters(), *([self.leaf] if self.draw.buffer == "from a leaf" else []))
        given = (*given, *([] if context is None else [context]))
        how = {**how, "parameters": given if self.draw.parameters == "all" else None}
        y, t, total = self._start(), self.times, torch.zeros(())
        for i in range(self.draw.chain):
            y, end, part = self._solve(i, f, y, t, how)
            total = total + part
            t = end + self.times - self.times[0]
        return total

    def _solve(self, i: int, f: Any, y: Any, t: Tensor, how: dict[str, Any]) -> tuple[Any, Tensor, Tensor]:
        """The state and time at the end of solve i, and its part of the loss."""
        event = self._event(i)
        dense = self.draw.dense
        solution = solve(f, y, t, event=event, dense=dense, **how).require_success()
        if event is not None:
            assert solution.event is not None
            y, end = solution.event.y, solution.event.t
            part = self._read(y) + torch.sin(end)
        else:
            states = solution.y if isinstance(solution.y, tuple) else (solution.y,)
            rows = [tuple(s[j] for s in states) for j in range(len(t))]
            outputs = [row if isinstance(solution.y, tuple) else row[0] for row in rows]
            y, end = outputs[-1], t[-1]
            part = sum((self._read(row) for row in outputs[1:]), torch.zeros(()))
        if dense:
            part = part + self._read(solution.dense(self.sign * (self._nominal(i) + 0.12)))
        return y, end, part

    def _read(self, state: Any) -> Tensor:
        h = joined(state)
        h = self.decoder(h) if self.draw.decoder else h
        return (torch.tanh(h) * self.weights).sum()

    def _start(self) -> Any:
        kind = self.draw.start
        rows = {
            "constant": lambda: self.y0,
            "leaf": lambda: self.y0,
            "encoder": lambda: self.encoder(self.input) + self.y0,
            "in f": lambda: self.f.y0 + 0 * self.y0,
            "encoder in f": lambda: self.f.encoder(self.input) + self.y0,
        }[kind]()
        return parted(rows, self.like)

    def _context(self) -> Tensor | None:
        kind = self.draw.context
        if kind == "none":
            return None
        if kind == "from a parameter":
            return torch.exp(self.f.raw)
        if kind == "from an encoder":
            return 1 + torch.tanh(self.encoder(self.input)) / 2
        return self.leaf

    def _as_called(self, context: Tensor | None) -> Any:
        """f in the form in which it is passed to the solve."""
        f, kind, form = self.f, self.draw.context, self.draw.form
        outside = kind in ("in a closure", "in a default")
        f.context = None if outside else [context] if kind == "in a list" else context
        if kind == "in a closure":
            return lambda t, y: _scaled(f(t, y), context)
        if kind == "in a default":
            return lambda t, y, c=context: _scaled(f(t, y), c)
        if form == "function":

            def function(t: Tensor, y: Any) -> Any:
                return f(t, y)

            return function
        held = [f]
        return {
            "module": f,
            "lambda": lambda t, y: f(t, y),
            "partial": functools.partial(_called, f),
            "method": f.method,
            "in a list": lambda t, y: held[0](t, y),
        }[form]

    def _event(self, i: int) -> Event | None:
        """The event of solve i: a time within the solve, shifted a little by the state unless it is "of time"."""
        kind, weights, happens = self.draw.event, self.weights, self._nominal(i + 1)

        def of_time(t: Tensor) -> Tensor:
            return self.sign * t - happens

        def of_state(t: Tensor, state: Any) -> Tensor:
            return of_time(t) + (torch.tanh(joined(state)) * weights).mean() / 10

        if kind == "none":
            return None
        if kind == "of time":
            return Event(lambda t, state: of_time(t))
        if kind == "of the state":
            return Event(of_state)
        return Event(lambda t, state: torch.stack((1e-12 * (2 + torch.sin(t)), 1e4 * of_state(t, state))))

    def _nominal(self, i: int) -> float:
        """About the time at which solve i starts, without the sign of the direction; a number without a gradient."""
        return i * (0.5 if self.draw.event == "none" else 0.31)

    @property
    def sign(self) -> float:
        """The sign of the direction of time."""
        return -1.0 if self.draw.decreasing else 1.0


def _called(f: Field, t: Tensor, y: Any) -> Any:
    return f(t, y)


def _scaled(dy: Any, context: Tensor | None) -> Any:
    return parted(joined(dy) * context, dy)
