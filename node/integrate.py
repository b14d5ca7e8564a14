"""The integration loop: from t0 to t1 in the controller's steps, with outputs from the solver's dense output."""

import itertools
import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from node.controller import LEAST_STEP, SAME_TIME, Controller, FixedGrid, FixedStep, PIDController, between
from node.dense import DensePiece
from node.errors import CallError
from node.event import Event, FlatEvent
from node.observer import Observer
from node.solution import Status
from node.solvers.base import Solver, Step
from node.trajectory import Jumps, TakenStep, Trajectory
from node.vector_field import RightHandSide


def integrate(
    f: RightHandSide,
    y0: Tensor,
    times: Sequence[float],
    *,
    solver: Solver,
    controller: Controller,
    max_steps: int,
    record: bool,
    event: Event | None = None,
    observers: Sequence[Observer[DensePiece]] = (),
    jumps: Jumps | None = None,
) -> Trajectory:
    """Solve dy/dt = f from times[0] to exactly times[-1], with outputs at every time.

    y0: (n,). times: strictly monotonic. record: leave a graph for autograd. event: stop where it happens. observers:
    notified of each step. jumps: jumps of the state; f may depend on the jumps that a step passes.
    """
    if len(times) == 1:
        return Trajectory(times[0], y0, [y0.unsqueeze(0)], 1)
    watched = None if event is None else FlatEvent(event, f, times[0], y0)
    loop = _Loop(f, y0, times, solver, max_steps, watched, observers, jumps, record=record)
    if isinstance(controller, PIDController):
        loop.adapt(controller)
    else:
        loop.follow(controller)
    return loop.trajectory()


class _Loop:
    """The state of one solve in progress, with its outputs so far."""

    def __init__(
        self,
        f: RightHandSide,
        y0: Tensor,
        times: Sequence[float],
        solver: Solver,
        max_steps: int,
        event: FlatEvent | None,
        observers: Sequence[Observer[DensePiece]],
        jumps: Jumps | None,
        *,
        record: bool,
    ) -> None:
        self._t = times[0]
        self._y = y0
        self._dt = 0.0  # the signed size of the next step to try
        self._outputs = [y0.unsqueeze(0)]
        self._status = Status.success
        self._n_accepted = 0
        self._n_rejected = 0
        self._f = f
        self._times = times
        self._next = 1  # the index of the next output
        self._sign = math.copysign(1.0, times[-1] - times[0])
        self._solver = solver
        self._workspace = solver.workspace(y0, record=record)
        self._carry: Any = None
        self._restarted = True  # whether the carry is the solver's start
        self._memory = (1.0, 1.0)  # the controller's memory
        self._min_dt = 0.0  # the step size at which the solve ends with a failure
        self._max_steps = max_steps
        self._event = event
        self._try_observers = [observer for observer in observers if observer.asks_tries]
        self._dense_observers = [observer for observer in observers if observer.asks_dense]
        self._step_observers = [observer for observer in observers if observer.asks_taken]
        self._jumps = jumps

    def trajectory(self) -> Trajectory:
        """The trajectory of the solve so far."""
        return Trajectory(
            self._t,
            self._y,
            self._outputs,
            len(self._times),
            status=self._status,
            n_accepted=self._n_accepted,
            n_rejected=self._n_rejected,
            entry=0 if self._event is None else self._event.entry,
        )

    def follow(self, controller: FixedStep | FixedGrid) -> None:
        """Take the steps of a grid."""
        times = self._times
        stops = () if self._jumps is None else self._jumps.stops
        pairs = itertools.pairwise((times[0], *stops, times[-1]))
        for end in itertools.chain.from_iterable(controller.grid(*pair) for pair in pairs):
            if self._n_accepted >= self._max_steps:
                self._status = Status.max_steps
                break
            if controller.one_sided:
                self._restrict(end, ends=(self._t, end))
            t1 = self._step_end(end, end)
            self._accept(self._try(t1, estimate=False), t1)
            if self._status is Status.event:
                break
        self._check_finite()

    def adapt(self, controller: PIDController) -> None:
        """Take steps that keep the tolerance, from each time that a step must end at to the next."""
        times = self._times
        jumps = controller.jump_t
        stops = () if self._jumps is None else self._jumps.stops
        for stop in (*between((*controller.step_t, *jumps, *stops), times[0], times[-1]), times[-1]):
            if jumps:
                self._restrict(stop, ends=jumps)
            if self._dt == 0.0:
                self._dt = self._first_dt(controller)
                self._min_dt = LEAST_STEP * abs(self._dt)
            self._reach(stop, controller)
            if self._status is not Status.success:
                return
        if self._solver.dense_with_f1:
            self._check_finite()

    def _first_dt(self, controller: PIDController) -> float:
        solver = self._solver
        f0 = self._f(self._t, self._y)
        self._carry = solver.start(self._f, self._t, self._y, f0)
        with torch.no_grad():
            order = solver.error_order or solver.order
            return controller.initial_dt(self._f, self._t, self._times[-1], self._y, f0, order)

    def _reach(self, stop: float, controller: PIDController) -> None:
        """Take steps to the time `stop`, or until the status is another than success."""
        max_steps = self._max_steps
        error_order = self._solver.error_order or self._solver.order
        ratio = 0.0
        while self._t != stop and self._status is Status.success:
            if self._n_accepted + self._n_rejected >= max_steps:
                self._status = Status.max_steps
                return
            if abs(self._dt) <= max(4 * sys.float_info.epsilon * abs(self._t), self._min_dt):
                self._status = Status.dt_underflow if math.isfinite(ratio) else Status.non_finite
                return
            t1 = self._step_end(self._t + self._dt, stop)
            if self._jumps is not None:
                t1 = self._jumps.end(self._t, t1)
            dt = t1 - self._t
            step = self._try(t1, estimate=True)
            ratio = _error_ratio(controller, step, self._y)
            verdict = controller.judge(ratio, dt, self._memory, error_order)
            self._memory = verdict.memory
            if not verdict.accepted:
                self._n_rejected += 1
                self._dt = verdict.dt
                for observer in self._try_observers:
                    observer.rejected(self._t, self._y, dt)
                continue
            # A step shortened to land on a time is no reason to reduce the size that was wanted.
            self._dt = verdict.dt if abs(verdict.dt) > abs(self._dt) or dt == self._dt else self._dt
            self._accept(step, t1)

    def _restrict(self, stop: float, ends: Sequence[float]) -> None:
        """Restrict f to its one-sided limits up to `stop`, at those ends of the interval that are in `ends`.

        If the start is in `ends`, restart the solver.
        """
        start, outwards = self._t, math.copysign(math.inf, self._sign)
        self._f.between(start if start in ends else -outwards, stop if stop in ends else outwards)
        if start in ends:
            self._carry, self._restarted = None, True

    def _try(self, t1: float, *, estimate: bool) -> Step:
        if self._jumps is not None and self._jumps.begin(self._t, t1):
            self._carry, self._restarted = None, True
        if self._carry is None:
            self._carry = self._solver.start(self._f, self._t, self._y)
        for observer in self._try_observers:
            observer.trying(self._t, self._y, t1 - self._t)
        return self._solver.step(
            self._f, self._t, self._y, t1 - self._t, self._carry, self._workspace, estimate=estimate
        )

    def _step_end(self, t1: float, stop: float) -> float:
        """The end of a step to t1: an output equal to t1 up to rounding, or `stop` if t1 meets or passes it, or t1."""
        slack = SAME_TIME * abs(t1 - self._t)
        output = self._times[self._next]
        if abs(t1 - output) <= slack and self._sign * (stop - output) >= 0:
            return output
        return stop if self._sign * (stop - t1) <= slack else t1

    def _accept(self, step: Step, t1: float) -> None:
        """Move to the step's end, or to the event within the step, and store the outputs that are passed."""
        times, first = self._times, self._next
        for observer in self._try_observers:
            observer.accepted(self._t, self._y, t1 - self._t)
        if self._event is not None and self._event.happened(t1, step.y1):
            step, t1 = self._step_to(self._event, self._dense_output(self._with_carry(step, t1), t1))
            self._status = Status.event
        passed = first
        while passed < len(times) and self._sign * (times[passed] - t1) < 0:
            passed += 1
        if passed > first or self._dense_observers:
            step = self._with_carry(step, t1)
            piece = self._dense_output(step, t1)
            if passed > first:
                self._outputs.append(piece.at(times[first:passed]))
            for observer in self._dense_observers:
                observer.dense(piece)
        lands = passed < len(times) and times[passed] == t1
        if lands:
            self._outputs.append(step.y1.unsqueeze(0))
        if self._step_observers:
            taken = TakenStep(self._t, t1, self._restarted, times[first:passed], lands, self._f.limits)
            for observer in self._step_observers:
                observer.taken(taken, self._y, self._carry, step)
        self._t, self._y = t1, step.y1
        self._n_accepted += 1
        self._next, self._carry, self._restarted = passed + lands, step.carry, step.carry is None
        if self._jumps is not None and (y1 := self._jumps.finish(t1, step.y1)) is not None:
            self._y, self._carry, self._restarted = y1, None, True

    def _step_to(self, event: FlatEvent, piece: DensePiece) -> tuple[Step, float]:
        """The step to the event, and its end time; its end state is used to correct the dense output."""
        t1 = event.locate(piece)
        step = self._try(t1, estimate=False)
        nearer = event.locate(piece, end=(t1, step.y1))
        return (step, t1) if nearer == t1 else (self._try(nearer, estimate=False), nearer)

    def _with_carry(self, step: Step, t1: float) -> Step:
        """The step with the carry that dense output needs, which is the start of the next step."""
        if step.carry is None and self._solver.dense_with_f1:
            return step._replace(carry=self._solver.start(self._f, t1, step.y1))
        return step

    def _dense_output(self, step: Step, t1: float) -> DensePiece:
        dt = t1 - self._t
        return DensePiece(self._t, dt, self._y, self._solver.dense(self._f, self._t, self._y, dt, step))

    def _check_finite(self) -> None:
        """Set the status non_finite if a state is not finite, and fill the outputs with NaN from there on.

        A state that is not finite stays so, so that the last state shows whether all are finite. Only f(t1, y1) of the
        last step enters no later state; dense output in that step may use it, and so the last outputs are checked too.
        """
        last = (self._y, *self._outputs[-2:])
        if all(math.isfinite(torch.linalg.vector_norm(y.detach(), ord=math.inf)) for y in last):
            return
        self._status = Status.non_finite
        self._outputs = [y.where(y.isfinite().all(dim=1, keepdim=True), math.nan) for y in self._outputs]


def _error_ratio(controller: PIDController, step: Step, y: Tensor) -> float:
    error, y1 = step.error, step.y1
    if error is None:
        raise CallError("this step gives no error estimate: pass controller=FixedStep(dt=...)")
    if y1.requires_grad:
        error, y, y1 = error.detach(), y.detach(), y1.detach()
    return float(controller.error_ratio(error, y, y1))
