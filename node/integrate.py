"""The loop: from t0 to t1 in the controller's steps, with outputs from the solver's dense output."""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from node.controller import LEAST_STEP, SAME_TIME, Controller, FixedGrid, FixedStep, PIDController, between
from node.dense import DensePiece
from node.event import FlatEvent
from node.solution import Status
from node.solvers.base import Solver, Step
from node.trajectory import Callback, Callbacks, Jumps, Log, TakenStep, Trajectory
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
    event: FlatEvent | None = None,
    dense: bool = False,
    callbacks: Callbacks | None = None,
    log: Log | None = None,
    jumps: Jumps | None = None,
    visit: Callable[[DensePiece], object] | None = None,
) -> Trajectory:
    """Solve dy/dt = f from times[0] to times[-1], which it lands on, with outputs at every time.

    y0: (n,). times: strictly monotonic. record: leave a graph for autograd. event: stop where it happens.
    dense: keep every step's dense output; visit: called with it. log: told of each accepted step. jumps: of the state,
    where f may depend on which of them a step passes.
    """
    if len(times) == 1:
        return Trajectory(times[0], y0, 0.0, [y0.unsqueeze(0)], 1)
    loop = _Loop(f, y0, times, solver, record, max_steps, event, callbacks or Callbacks(), log, jumps)
    loop.visit = loop.at.pieces.append if dense else visit
    if isinstance(controller, PIDController):
        loop.adapt(controller)
    else:
        loop.follow(controller)
    return loop.at


class _Loop:
    """One solve under way."""

    def __init__(
        self,
        f: RightHandSide,
        y0: Tensor,
        times: Sequence[float],
        solver: Solver,
        record: bool,
        max_steps: int,
        event: FlatEvent | None,
        callbacks: Callbacks,
        log: Log | None,
        jumps: Jumps | None,
    ):
        self.at = Trajectory(times[0], y0, 0.0, [y0.unsqueeze(0)], len(times))
        self._f = f
        self._times = times
        self._due = 1  # the index of the next output
        self._sign = math.copysign(1.0, times[-1] - times[0])
        self._solver = solver
        self._workspace = solver.workspace(y0, record=record)
        self._carry: Any = None
        self._anew = True  # whether the carry is the solver's start
        self._memory = (1.0, 1.0)  # the controller's
        self._least = 0.0  # a step size at which the solve is given up
        self._max_steps = max_steps
        self._event = event
        self.visit: Callable[[DensePiece], object] | None = None  # called with each accepted step's dense output
        self._callbacks = callbacks
        self._log = log
        self._jumps = jumps
        if event is not None:
            event.start(times[0], y0)

    def follow(self, controller: FixedStep | FixedGrid) -> None:
        """Take the steps of a grid."""
        at, times = self.at, self._times
        stops = () if self._jumps is None else self._jumps.stops
        pairs = itertools.pairwise((times[0], *stops, times[-1]))
        for end in itertools.chain.from_iterable(controller.grid(*pair) for pair in pairs):
            if at.n_accepted >= self._max_steps:
                at.status = Status.max_steps
                break
            if controller.one_sided:
                self._confine(end, ends=(at.t, end))
            t1 = self._meet(end, end)
            self._accept(self._try(t1, estimate=False), t1)
            if at.status is Status.event:
                break
        self._check_finite()

    def adapt(self, controller: PIDController) -> None:
        """Take steps that keep the tolerance, from each time that must be hit to the next."""
        at, times = self.at, self._times
        jumps = controller.jump_t
        stops = () if self._jumps is None else self._jumps.stops
        for stop in (*between((*controller.step_t, *jumps, *stops), times[0], times[-1]), times[-1]):
            if jumps:
                self._confine(stop, ends=jumps)
            if at.dt == 0.0:
                at.dt = self._first_dt(controller)
                self._least = LEAST_STEP * abs(at.dt)
            self._reach(stop, controller)
            if at.status is not Status.success:
                return
        if self._solver.dense_with_f1:
            self._check_finite()

    def _first_dt(self, controller: PIDController) -> float:
        at, solver = self.at, self._solver
        f0 = self._f(at.t, at.y)
        self._carry = solver.start(self._f, at.t, at.y, f0)
        with torch.no_grad():
            order = solver.error_order or solver.order
            return controller.initial_dt(self._f, at.t, self._times[-1], at.y, f0, order)

    def _reach(self, stop: float, controller: PIDController) -> None:
        """Go on to the time `stop`, or until the status is no success."""
        at, max_steps, callbacks = self.at, self._max_steps, self._callbacks
        error_order = self._solver.error_order or self._solver.order
        ratio = 0.0
        while at.t != stop and at.status is Status.success:
            if at.n_accepted + at.n_rejected >= max_steps:
                at.status = Status.max_steps
                return
            if abs(at.dt) <= max(4 * sys.float_info.epsilon * abs(at.t), self._least):
                at.status = Status.dt_underflow if math.isfinite(ratio) else Status.non_finite
                return
            t1 = self._meet(at.t + at.dt, stop)
            if self._jumps is not None:
                t1 = self._jumps.end(at.t, t1)
            dt = t1 - at.t
            step = self._try(t1, estimate=True)
            ratio = _error_ratio(controller, step, at.y)
            verdict = controller.judge(ratio, dt, self._memory, error_order)
            self._memory = verdict.memory
            if not verdict.accepted:
                at.n_rejected += 1
                at.dt = verdict.dt
                if callbacks.reject is not None:
                    self._call(callbacks.reject, dt)
                continue
            # A step cut short to land on a time says nothing against the size that was wanted.
            at.dt = verdict.dt if abs(verdict.dt) > abs(at.dt) or dt == at.dt else at.dt
            self._accept(step, t1)

    def _confine(self, stop: float, ends: Sequence[float]) -> None:
        """On the way from here to `stop` f has its limits from inside, where either is among the ends. Begin anew."""
        start, outwards = self.at.t, math.copysign(math.inf, self._sign)
        self._f.between(start if start in ends else -outwards, stop if stop in ends else outwards)
        if start in ends:
            self._carry, self._anew = None, True

    def _try(self, t1: float, *, estimate: bool) -> Step:
        at = self.at
        if self._jumps is not None and self._jumps.begin(at.t, t1):
            self._carry, self._anew = None, True
        if self._carry is None:
            self._carry = self._solver.start(self._f, at.t, at.y)
        if self._callbacks.step is not None:
            self._call(self._callbacks.step, t1 - at.t)
        return self._solver.step(self._f, at.t, at.y, t1 - at.t, self._carry, self._workspace, estimate=estimate)

    def _call(self, callback: Callback, dt: float) -> None:
        callback(self.at.t, self._f.restore(self.at.y), dt)

    def _meet(self, t1: float, stop: float) -> float:
        """t1; or the output that it meets but for rounding; or `stop` where it meets or passes that."""
        slack = SAME_TIME * abs(t1 - self.at.t)
        output = self._times[self._due]
        if abs(t1 - output) <= slack and self._sign * (stop - output) >= 0:
            return output
        return stop if self._sign * (stop - t1) <= slack else t1

    def _accept(self, step: Step, t1: float) -> None:
        """Move to the step's end, past the outputs that are due, or to the event on the way."""
        at, times, due = self.at, self._times, self._due
        if self._callbacks.accept is not None:
            self._call(self._callbacks.accept, t1 - at.t)
        if self._event is not None and self._event.happened(t1, step.y1):
            step, t1 = self._step_to(self._event, self._dense_output(self._completed(step, t1), t1))
            at.status, at.entry = Status.event, self._event.entry
        passed = due
        while passed < len(times) and self._sign * (times[passed] - t1) < 0:
            passed += 1
        if passed > due or self.visit is not None:
            step = self._completed(step, t1)
            piece = self._dense_output(step, t1)
            if passed > due:
                at.outputs.append(piece.at(times[due:passed]))
            if self.visit is not None:
                self.visit(piece)
        lands = passed < len(times) and times[passed] == t1
        if lands:
            at.outputs.append(step.y1.unsqueeze(0))
        if self._log is not None:
            taken = TakenStep(at.t, t1, self._anew, times[due:passed], lands, self._f.limits)
            self._log(taken, at.y, self._carry, step)
        at.t, at.y = t1, step.y1
        at.n_accepted += 1
        self._due, self._carry, self._anew = passed + lands, step.carry, step.carry is None
        if self._jumps is not None and (y1 := self._jumps.finish(t1, step.y1)) is not None:
            at.y, self._carry, self._anew = y1, None, True

    def _step_to(self, event: FlatEvent, piece: DensePiece) -> tuple[Step, float]:
        """The step to the event, and its end; once it is tried, it tells how far the dense output is off."""
        t1 = event.locate(piece)
        step = self._try(t1, estimate=False)
        nearer = event.locate(piece, end=(t1, step.y1))
        return (step, t1) if nearer == t1 else (self._try(nearer, estimate=False), nearer)

    def _completed(self, step: Step, t1: float) -> Step:
        """The step with what dense output needs, which is the next one's start."""
        if step.carry is None and self._solver.dense_with_f1:
            return step._replace(carry=self._solver.start(self._f, t1, step.y1))
        return step

    def _dense_output(self, step: Step, t1: float) -> DensePiece:
        at = self.at
        dt = t1 - at.t
        return DensePiece(at.t, dt, at.y, self._solver.dense(self._f, at.t, at.y, dt, step))

    def _check_finite(self) -> None:
        """Name a solve that left the finite numbers, and let its outputs be NaN from there on.

        A state that is not finite stays so: the last one tells of all. Only f(t1, y1) of the last step is in no later
        state, and dense output in that step may have taken it.
        """
        at = self.at
        last = (at.y, *at.outputs[-2:])
        if all(math.isfinite(torch.linalg.vector_norm(y.detach(), ord=math.inf)) for y in last):
            return
        at.status = Status.non_finite
        at.outputs = [y.where(y.isfinite().all(dim=1, keepdim=True), math.nan) for y in at.outputs]


def _error_ratio(controller: PIDController, step: Step, y: Tensor) -> float:
    error, y1 = step.error, step.y1
    if error is None:
        raise ValueError("this step gives no error estimate: pass controller=FixedStep(dt=...)")
    if y1.requires_grad:
        error, y, y1 = error.detach(), y.detach(), y1.detach()
    return float(controller.error_ratio(error, y, y1))
