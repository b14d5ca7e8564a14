"""A checked call of torchdiffeq's interface, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from node.adjoint import Adjoint
from node.controller import FixedGrid
from node.dense import DenseOutput
from node.entrance import solve
from node.errors import CallError
from node.event import Event
from node.layout import State
from node.solution import Solution, SolveError, Status
from node.torchdiffeq_api.event_time import FoundEvent, zero_at_start
from node.torchdiffeq_api.one_pass import Pass
from node.torchdiffeq_api.scipy_solver import SolveIvp
from node.trajectory import Callbacks

EventFn = Callable[[Tensor, Any], Tensor]

MOST_STEPS = 2**31 - 1  # torchdiffeq's default for max_num_steps
MOST_STEPS_TO_EVENT = 1_000_000  # the search for an event that never happens ends within minutes
FAR = 1e30  # length of the search for an event: longer than any solve, and finite in float32


@dataclass(frozen=True)
class Call:
    """The arguments of a call without the times. parameters: the tensors that get gradients, None for those of func."""

    func: Any
    y0: State
    forward: Pass | SolveIvp
    gradient: str | Adjoint
    parameters: tuple[Tensor, ...] | None
    callbacks: Callbacks

    def answer(self, t: Tensor, event_fn: EventFn | None) -> Any:
        """The states at the times, or (event_t, states at the start and at the event)."""
        if event_fn is not None:
            return self._until(event_fn, t)
        if isinstance(self.y0, Tensor) and self.y0.numel() == 0:  # a batch without samples
            return self.y0.expand(len(t), *self.y0.shape)
        return self._solve(t).y

    def dense(self, t: Tensor) -> DenseOutput[Any]:
        """The solution as a function of time between the first and the last of the times."""
        return cast(DenseOutput[Any], self._solve(t, dense=True).dense)

    def _until(self, event_fn: EventFn, t: Tensor) -> tuple[Tensor, Any]:
        """The event's time, and the states of a second solve to it as a given time; the search leaves no graph."""
        if isinstance(self.forward, SolveIvp):
            raise CallError("scipy_solver finds no event: take another method, or event_fn=None")
        if isinstance(self.forward.controller, FixedGrid):
            raise CallError("a method of fixed steps looks for an event in steps of a size: pass options step_size")
        event = Event(event_fn)
        if (entry := zero_at_start(event, t[0], self.y0)) is not None:
            return self._time(event, entry, t[:1], self.y0).to(t), _stacked(self.y0, self.y0)
        with torch.no_grad():
            start = t[:1].double()
            far = start + torch.where(t[1] > t[0], FAR, -FAR)
            found = self._solve(torch.cat((start, far)), event)
        if found.event is None:
            raise SolveError(f"event_fn has kept its sign up to t={far.item():g}: check that it passes through zero")
        at = found.event.t.reshape(1)
        if not torch.is_grad_enabled():
            return at[0].to(t), _stacked(self.y0, found.event.y)
        states = self._solve(torch.cat((t[:1].double(), at)), callbacks=Callbacks()).y
        end = states[-1] if isinstance(states, Tensor) else tuple(part[-1] for part in states)
        return self._time(event, found.event_entry, at, end).to(t), states

    def _time(self, event: Event, entry: int, stop: Tensor, y: State) -> Tensor:
        """The time of an event at the end of a solve, in a graph to all that it depends on."""
        if not torch.is_grad_enabled():
            return stop.detach()[0]
        return FoundEvent(self.func, event, stop, y).time(entry)[0]

    def _solve(
        self, t: Tensor, event: Event | None = None, *, callbacks: Callbacks | None = None, dense: bool = False
    ) -> Solution[Any]:
        # Where SciPy solves, the gradient mode does the whole solve and does not use these two.
        solver, controller, limit = (
            ("dopri5", self.forward.tolerance, None)
            if isinstance(self.forward, SolveIvp)
            else (self.forward.solver, self.forward.controller, self.forward.max_steps)
        )
        solution = solve(
            self.func,
            self.y0,
            t,
            solver=solver,
            controller=controller,
            gradient=self.gradient,
            parameters=self.parameters,
            event=event,
            dense=dense,
            callbacks=self.callbacks if callbacks is None else callbacks,
            max_steps=(limit or (MOST_STEPS if event is None else MOST_STEPS_TO_EVENT)) * max(1, len(t) - 1),
        )
        if solution.status is Status.max_steps:
            raise SolveError("max_num_steps exceeded: raise it, loosen the tolerance or shorten the time")
        return solution.require_success()


def _stacked(y0: State, y1: State) -> State:
    if isinstance(y0, Tensor) and isinstance(y1, Tensor):
        return torch.stack((y0, y1))
    return tuple(torch.stack(pair) for pair in zip(y0, y1, strict=True))
