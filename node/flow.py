"""The solution a moment later: how states depend on the time at which they are taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.adjoint.field.conditions import Conditions
from node.adjoint.field.dependencies import Dependencies, dependencies, unique
from node.adjoint.field.recorded import RecordedField
from node.errors import GradientError
from node.layout import Layout, State
from node.recomputed import recomputed
from node.solution import Stats
from node.user_field import UserField
from node.vector_field import RightHandSide, Time, VectorField

ORDERS = 4  # of derivatives that involve a time: those of a step of the classical Runge-Kutta method


@dataclass(frozen=True)
class Flow:
    """The flow of dy/dt = f from states (m, n), or (m, B, n), to times at which they already are.

    It gives y(stop) where y(start) = y, for stop = start: nothing moves, but derivatives of the result are those of
    the true solution, whatever the mode. The first ones need slopes only; for more of them a step of no length is
    taken, in a graph: y + dt f, or a step of order 2 or 4.
    """

    layout: Layout  # of one state
    conditions: Conditions
    stats: Stats
    y: Tensor  # where it was made, with no graph
    slopes: Tensor  # f there
    closure: tuple[Tensor, ...]  # what f depends on beside
    random: bool  # whether f draws random numbers

    @classmethod
    def at(cls, f: VectorField[Any], layout: Layout, stats: Stats, times: Sequence[Time], y: Tensor) -> "Flow":
        """The flow at states y (m, ...) of these times, for which f is called at each."""
        field, y = UserField(f, layout), y.detach()
        found = [dependencies(field, t, state, keep_graph=False) for t, state in zip(times, y, strict=True)]
        stats.nfe_forward += field.calls
        tensors = unique(x for each in found for x in each.tensors)
        random = any(each.random for each in found)
        of_all = Dependencies(found[0].call, tensors, random, field.calls)
        conditions = Conditions("a gradient that involves a time", f, layout, of_all, tensors)
        slopes = torch.stack([_finite(each.call.dy) for each in found])
        return cls(layout, conditions, stats, y, slopes, tensors, random)

    def __call__(self, y: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """y, whose derivatives are those of the flow. start, stop: (m,), or (B, m) with a time for each sample."""
        return recomputed(self._moved, (y, start, stop), self.closure, self.conditions.parameters)

    def arguments(self, y: Tensor, t: Tensor) -> tuple[Tensor, State]:
        """One state (1, n) and its time (1,) as a user's function takes them."""
        return self._time(self._columns(t)[0]), self.layout.restore(y[0])

    def _moved(self, order: int, y: Tensor, start: Tensor, stop: Tensor) -> tuple[Tensor]:
        start, stop = self._columns(start), self._columns(stop)
        dt = stop - start
        near = y + self.slopes * dt
        if order <= 1:
            return (near if order else y.clone(),)
        if self.random:
            raise GradientError(
                "a second derivative that involves an output time or an event calls the vector field again, and it "
                "draws random numbers: call f.eval(), or pass t.detach()"
            )
        if order > ORDERS:
            raise GradientError(
                f"a derivative of order {order} that involves an output time or an event: "
                f"they are known up to order {ORDERS}; pass t.detach(), or differentiate f itself"
            )
        return (self._stepped(order, y, start, dt, near),)

    def _stepped(self, order: int, y: Tensor, start: Tensor, dt: Tensor, near: Tensor) -> Tensor:
        """The states of `near`, by steps in a graph; but not where a state or a slope was not finite."""
        f = RecordedField(UserField(self.conditions.f, self.layout), self.stats, backwards=True)
        reached = (self.y.isfinite() & self.slopes.isfinite()).all(dim=-1, keepdim=True)
        step = _step_of_order_2 if order == 2 else _step_of_order_4
        y = y.where(reached, self.y[0])
        rows = zip(map(self._time, start), y, map(self._time, dt), strict=True)
        stepped = self.conditions.call(lambda: torch.stack([step(f, *row) for row in rows]))
        self.stats.nfe_backward += f.calls
        return stepped.where(reached, near)

    def _columns(self, t: Tensor) -> Tensor:
        return _columns(self.layout, t)

    def _time(self, column: Tensor) -> Tensor:
        return _time(self.layout, column)


def moved_within_transform(f: UserField, y: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """The states y moved as by a flow, in plain operations, which a transform of torch.func differentiates itself."""
    start, stop = _columns(f.layout, start), _columns(f.layout, stop)
    rows = zip(start.unbind(), y.unbind(), (stop - start).unbind(), strict=True)
    return torch.stack([_step_of_order_4(f, _time(f.layout, t), row, _time(f.layout, dt)) for t, row, dt in rows])


def _columns(layout: Layout, t: Tensor) -> Tensor:
    """Times (m, 1), (m, 1, 1) or (m, B, 1), that go with states."""
    t = t.to(layout.device, layout.dtype.to_real()).t()
    return t.reshape(len(t), -1, *(1,) * (len(layout.flat_shape) - 1))


def _time(layout: Layout, column: Tensor) -> Tensor:
    """A row of columns as f takes time: of no dimension, or (B, 1)."""
    return column.expand(layout.flat_shape[0], 1) if layout.samples else column.reshape(())


def _finite(slope: Tensor) -> Tensor:
    """A slope that is not finite, as of a failed sample, is of no use, and its NaN would be in all gradients."""
    return slope.where(slope.isfinite(), 0.0)


def _step_of_order_2(f: RightHandSide, t: Tensor, y: Tensor, dt: Tensor) -> Tensor:
    half = dt / 2
    return y + dt * f(t + half, y + half * f(t, y))


def _step_of_order_4(f: RightHandSide, t: Tensor, y: Tensor, dt: Tensor) -> Tensor:
    half = dt / 2
    k1 = f(t, y)
    k2 = f(t + half, y + half * k1)
    k3 = f(t + half, y + half * k2)
    k4 = f(t + dt, y + dt * k3)
    return y + dt / 6 * (k1 + 2 * (k2 + k3) + k4)
