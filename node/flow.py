"""The flow of a vector field: the derivatives of states in the times at which they are taken."""

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

ORDERS = 4  # the highest order of derivatives that involve a time: that of the classical Runge-Kutta method


@dataclass(frozen=True)
class Flow:
    """The flow of dy/dt = f from states (m, n), or (m, B, n), over time intervals of length zero.

    It gives y(stop) where y(start) = y, for stop = start: the values do not change, but the derivatives of the result
    are those of the true solution, whatever the mode. First derivatives need slopes only; for higher ones a step of
    length zero is taken in a graph: y + dt f, or a step of order 2 or 4.
    """

    layout: Layout  # of one state
    conditions: Conditions
    stats: Stats
    y: Tensor  # the states at which the flow was made, without a graph
    slopes: Tensor  # f at these states
    closure: tuple[Tensor, ...]  # the other tensors that f depends on
    random: bool  # whether f draws random numbers

    @classmethod
    def at(cls, f: VectorField[Any], layout: Layout, stats: Stats, times: Sequence[Time], y: Tensor) -> "Flow":
        """The flow at the states y (m, ...) of these times; f is called at each."""
        field, y = UserField(f, layout), y.detach()
        found = [dependencies(field, t, state, keep_graph=False) for t, state in zip(times, y, strict=True)]
        stats.nfe_forward += field.calls
        tensors = unique(x for dependency in found for x in dependency.tensors)
        random = any(dependency.random for dependency in found)
        of_all = Dependencies(found[0].call, tensors, random, field.calls)
        conditions = Conditions("a gradient that involves a time", f, layout, of_all, tensors)
        slopes = torch.stack([_finite(dependency.call.dy) for dependency in found])
        return cls(layout, conditions, stats, y, slopes, tensors, random)

    def __call__(self, y: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """y with the derivatives of the flow in y, start and stop: (m,), or (B, m) with a time for each sample."""
        return recomputed(self._value, (y, start, stop), self.closure, self.conditions.parameters)

    def arguments(self, y: Tensor, t: Tensor) -> tuple[Tensor, State]:
        """The time (1,) and the state (1, n) in the form that a user's function takes."""
        return self._time(self._columns(t)[0]), self.layout.restore(y[0])

    def _value(self, order: int, y: Tensor, start: Tensor, stop: Tensor) -> tuple[Tensor]:
        start, stop = self._columns(start), self._columns(stop)
        dt = stop - start
        euler = y + self.slopes * dt
        if order <= 1:
            return (euler if order else y.clone(),)
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
        return (self._stepped(order, y, start, dt, euler),)

    def _stepped(self, order: int, y: Tensor, start: Tensor, dt: Tensor, euler: Tensor) -> Tensor:
        """The states after steps in a graph; `euler` where a state or a slope is not finite."""
        f = RecordedField(UserField(self.conditions.f, self.layout), self.stats, backwards=True)
        reached = (self.y.isfinite() & self.slopes.isfinite()).all(dim=-1, keepdim=True)
        step = _step_of_order_2 if order == 2 else _step_of_order_4
        y = y.where(reached, self.y[0])
        rows = zip(map(self._time, start), y, map(self._time, dt), strict=True)
        stepped = self.conditions.call(lambda: torch.stack([step(f, *row) for row in rows]))
        self.stats.nfe_backward += f.calls
        return stepped.where(reached, euler)

    def _columns(self, t: Tensor) -> Tensor:
        return _columns(self.layout, t)

    def _time(self, column: Tensor) -> Tensor:
        return _time(self.layout, column)


def flow_within_transform(f: UserField, y: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """The states y with the derivatives of a flow, in plain operations that torch.func's transforms differentiate."""
    start, stop = _columns(f.layout, start), _columns(f.layout, stop)
    rows = zip(start.unbind(), y.unbind(), (stop - start).unbind(), strict=True)
    return torch.stack([_step_of_order_4(f, _time(f.layout, t), row, _time(f.layout, dt)) for t, row, dt in rows])


def _columns(layout: Layout, t: Tensor) -> Tensor:
    """The times as columns (m, 1), (m, 1, 1) or (m, B, 1), which broadcast against the states."""
    t = t.to(layout.device, layout.dtype.to_real()).t()
    return t.reshape(len(t), -1, *(1,) * (len(layout.flat_shape) - 1))


def _time(layout: Layout, column: Tensor) -> Tensor:
    """One time of `_columns` in the form that f takes: 0-dimensional, or (B, 1)."""
    return column.expand(layout.flat_shape[0], 1) if layout.samples else column.reshape(())


def _finite(slope: Tensor) -> Tensor:
    """The slope with zero for entries that are not finite, as in a failed sample: NaN would spread to all gradients."""
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
