"""The loop in which each sample of a batch takes its own steps."""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from node.controller import LEAST_STEP
from node.event import Event
from node.per_sample import carry as carries
from node.per_sample.clock import Bools, Floats, Landed, Passed, SampleClock
from node.per_sample.columns import column, mask
from node.per_sample.events import EventWatch
from node.per_sample.fates import Fates
from node.per_sample.limits import Limits
from node.per_sample.log import LogBook, SampleLog
from node.per_sample.outputs import SampleOutputs, interpolated, states
from node.per_sample.pace import Pace, Verdicts, resting_finite
from node.per_sample.path import SamplePiece
from node.per_sample.stand_in import StandIn
from node.solution import Status
from node.solvers.base import Solver, Step
from node.solvers.carry import each
from node.trajectory import Callback, Callbacks, Trajectory
from node.vector_field import FlatField


class SampleLoop:
    """One solve under way."""

    visit: Callable[[SamplePiece], object] | None = None  # called with the dense output of each try that gets on
    callbacks: Callbacks | None = None
    _events: EventWatch | None = None

    def __init__(
        self,
        f: FlatField,
        y0: Tensor,
        times: Tensor,
        solver: Solver,
        pace: Pace,
        max_steps: int,
        record: bool,
        log: SampleLog | None,
        jump: Callable[[Landed, Tensor], Tensor] | None,
    ):
        samples, n_outputs = times.shape
        self._f = f
        self._y = y0
        self._solver = solver
        self._workspace = solver.workspace(y0, record=record)
        self._carry: Any = None
        self._anew: Bools | None = None  # the samples that stand where f jumps, with a carry from before
        self._away: tuple[Tensor, Tensor] | None = None  # the samples that stand where another did, and its time
        self._pace = pace
        self._record = record
        self._clock = SampleClock(times, pace.stops, land=jump is not None)
        self._jump = jump
        self._limits = Limits(f, self._clock, pace.jumps, y0)
        self._book = None if log is None else LogBook(log, solver, self._clock, self._limits)
        self._outputs = SampleOutputs(y0, n_outputs)
        self._max_steps = max_steps
        self._tries = 0
        self._least = np.zeros(samples)  # step sizes at which a sample is given up
        self._fates = Fates(samples)

    def watch(self, event: Event) -> None:
        """Let samples stop at their events."""
        self._events = EventWatch(event, self._f, self._column(self._clock.t), self._y)

    def run(self) -> None:
        """Take steps until every sample has ended."""
        clock = self._clock
        self._limits.confine(clock.alive, clock.start)
        if self._pace.estimate:
            self._size_first_steps()
        while clock.alive.any():
            if self._tries >= self._max_steps:
                self._end(clock.alive, Status.max_steps)
                return
            self._tries += 1
            self._advance()

    def trajectory(self) -> Trajectory:
        """What was found."""
        clock = self._clock
        outputs = self._outputs.all()
        # The stages of a step that was accepted are finite; f(t1, y1) beside them need not be, nor need dense output.
        if len(outputs) > 1 and (self._solver.dense_with_f1 or not self._pace.estimate):
            outputs = self._checked_finite(outputs)
        stats = self._fates.stats()
        failed = np.array([status.failed for status in stats.status])
        return Trajectory(
            float(clock.sign * (clock.t[failed][0] if failed.any() else clock.t.max())),
            self._y,
            0.0,
            [outputs],
            len(outputs),
            status=self._fates.status,
            n_accepted=int(stats.n_accepted.sum()),
            n_rejected=int(stats.n_rejected.sum()),
            samples=stats,
            events=None if self._events is None else self._events.found,
        )

    def _size_first_steps(self) -> None:
        clock, y = self._clock, self._y
        t = self._column(clock.t)
        f0 = self._f(t, y)
        self._carry, _ = self._started(t, f0)
        with torch.no_grad():
            clock.dt = np.where(clock.alive, self._pace.first_dt(clock, self._f, y, f0), 0.0)
        self._least = LEAST_STEP * clock.dt
        self._end_stuck(clock.alive, clock.alive)

    def _advance(self) -> None:
        """Let every sample try a step, and those that hold theirs go on to its end."""
        clock, y0 = self._clock, self._y
        t0, t1 = clock.t, clock.meet(self._pace.proposed(clock, self._tries))
        dt = t1 - t0
        t, h = self._column(t0), self._column(dt)
        if self._away is not None:
            t = torch.where(*self._away, t)
        self._begin(t, t0, t1)
        if self.callbacks is not None:
            self._call(self.callbacks.step, t0, dt, clock.alive)
        carry = self._carry
        step = self._step(t, y0, h, carry)
        verdicts = self._pace.judge(clock, y0, step, dt)
        if not verdicts.all_accepted:
            self._fates.reject(clock.alive & ~verdicts.accepted)
            if self._record:
                t, y0, h, step = self._recordable(t, y0, h, step, verdicts)
        if self._events is not None:
            t1, h, step = self._to_events(self._events, (t0, t1), (t, y0, h), step, verdicts.accepted & clock.alive)
            dt = t1 - t0
        if self.callbacks is not None:
            self._call(self.callbacks.accept, t0, dt, clock.alive & verdicts.accepted)
            self._call(self.callbacks.reject, t0, dt, clock.alive & ~verdicts.accepted)
        self._accept(step, verdicts, t1)
        passed = clock.passed()
        if passed is not None or self.visit is not None:
            self._output(passed, verdicts.accepted & clock.alive, t0, (t, y0, h), step)
        if self._book is not None:
            f1 = self._carry if step.carry is None else None
            self._book.tell((t0, y0, carry), (self._y, self._carry), verdicts, passed, f1)
        clock.dt = verdicts.dt
        if self._events is not None and self._events.stopping is not None:
            self._end(self._events.stopped(clock.signed(clock.t), self._y), Status.event)
        self._leave_stops()
        if self._jump is not None and passed is not None and (landed := passed.landed()) is not None:
            self._land(self._jump(landed, self._y), landed)
        if not verdicts.all_accepted:
            self._end_stuck(clock.alive & ~verdicts.accepted, verdicts.finite)

    def _begin(self, t: Tensor, t0: Floats, t1: Floats) -> None:
        """See to the carry at t: where f has jumped, and where a solver does not hand one on."""
        if self._pace.one_sided:
            self._limits.put(t0, t1)
            self._carry, self._anew = None, np.ones_like(self._clock.alive)
        if self._book is not None and self._anew is not None:
            self._book.begin(self._anew)
        if self._carry is None:
            self._carry, _ = self._started(t)
        elif self._anew is not None:
            self._carry = carries.select(self._mask(self._anew), self._started(t)[0], self._carry)
        self._anew = None

    def _started(self, t: Tensor, f0: Tensor | None = None) -> tuple[Any, Any]:
        """The carry at t, and the same made finite, with another sample's in the place of one that is not.

        Where gradients are wanted, neither has an evaluation in its graph that is not finite.
        """
        y, solver = self._y, self._solver
        carry = solver.start(self._f, t, y, f0)
        if not self._record:
            return carry, carry
        stand_in = StandIn.where_needed(carries.finite(y, carry))
        if stand_in is None:
            return carry, carry
        carry, keep = solver.start(self._f, stand_in.fill(t), stand_in.fill(y)), self._mask(stand_in.finite)
        return each(lambda x: carries.select(keep, x, torch.full_like(x, math.nan)), carry), carry

    def _step(self, t: Tensor, y: Tensor, dt: Tensor, carry: Any) -> Step:
        return self._solver.step(self._f, t, y, dt, carry, self._workspace, estimate=self._pace.estimate)

    def _call(self, callback: Callback | None, t: Floats, dt: Floats, samples: Bools) -> None:
        """Call it with t, the state and dt of these samples, if there are any."""
        if callback is None or not samples.any():
            return
        dt = np.where(samples, self._clock.signed(dt), 0.0)
        callback(torch.tensor(self._clock.signed(t)), self._f.layout.restore(self._y), torch.from_numpy(dt))

    def _recordable(
        self, t: Tensor, y: Tensor, dt: Tensor, step: Step, verdicts: Verdicts
    ) -> tuple[Tensor, Tensor, Tensor, Step]:
        """The step and what it is from, without evaluations in its graph that are not finite: 0 times NaN is NaN.

        Rejected samples rest in it, with dt = 0. One from whose very start f is not finite stands where another does;
        if it has ended, from now on.
        """
        accepted, carry = verdicts.accepted, self._carry
        dt = dt.where(self._mask(accepted), 0.0)
        if verdicts.finite.all() or not accepted.any():
            return t, y, dt, step
        finite = resting_finite(self._solver, y, carry, verdicts)
        stand_in = StandIn.where_needed(finite, int(accepted.argmax()))
        if stand_in is not None:
            t, dt, y, carry = stand_in.fill(t), stand_in.fill(dt), stand_in.fill(y), each(stand_in.fill, carry)
            ended = self._mask(~finite & ~(self._clock.alive & self._pace.estimate))
            self._away, self._y = (ended, t), y.where(ended, self._y)
            self._carry = carries.select(ended, carry, self._carry)
        return t, y, dt, self._step(t, y, dt, carry)

    def _to_events(
        self,
        events: EventWatch,
        times: tuple[Floats, Floats],
        start: tuple[Tensor, Tensor, Tensor],
        step: Step,
        moved: Bools,
    ) -> tuple[Floats, Tensor, Step]:
        """The step's end and size, and the step itself: shorter for samples that come to their event in it."""
        (t0, t1), (t, y, h), solver, clock, carry = times, start, self._solver, self._clock, self._carry
        if not events.happen(self._column(t1), step.y1, moved):
            return t1, h, step
        if step.carry is None and solver.dense_with_f1:
            step = step._replace(carry=solver.start(self._f, self._column(t1), step.y1))
        c = solver.dense(self._f, t, y, h, step, self._workspace)
        piece = SamplePiece(clock.signed(t0), clock.signed(t1), moved, y, c)
        # Once the shorter step is tried, it tells how far the dense output is off.
        t1 = clock.signed(events.located(piece))
        y1 = self._step(t, y, self._column(t1 - t0), carry).y1
        t1 = clock.signed(events.located(piece, end=(clock.signed(t1), y1)))
        h = self._column(t1 - t0)
        return t1, h, self._step(t, y, h, carry)

    def _accept(self, step: Step, verdicts: Verdicts, t1: Floats) -> None:
        """Move the samples whose step is accepted to its end."""
        clock, accepted = self._clock, verdicts.accepted
        # Where it is told, a sample that has ended is to stay to the last bit where it was.
        if verdicts.all_accepted and (self._book is None or clock.alive.all()):
            clock.t, self._y, self._carry = t1, step.y1, step.carry
        elif (accepted & clock.alive).any():
            moved = self._mask(accepted if self._book is None else accepted & clock.alive)
            clock.t = np.where(accepted, t1, clock.t)
            self._y = torch.where(moved, step.y1, self._y)
            # Without error estimates a sample that is rejected has ended: what it carries is of no account.
            whole = step.carry is None or (self._book is None and not self._pace.estimate)
            self._carry = step.carry if whole else carries.select(moved, step.carry, self._carry)

    def _output(
        self, passed: Passed | None, moved: Bools, t0: Floats, start: tuple[Tensor, Tensor, Tensor], step: Step
    ) -> None:
        """Keep the states at the outputs that were passed: where a sample stands there, its own."""
        clock, y0 = self._clock, start[1]
        landed, within = (None, None) if passed is None else (passed.landed(), passed.within(t0, clock.t))
        if landed is not None:
            self._outputs.keep(*landed, states(self._y, landed.sample))
        visit = self.visit if moved.any() else None
        if within is None and visit is None:
            return
        c = self._dense(*start, step)
        if within is not None:
            self._outputs.keep(within.output, within.sample, interpolated(y0, c, within))
        if visit is not None:
            visit(SamplePiece(clock.signed(t0), clock.signed(clock.t), moved, y0, c))

    def _dense(self, t: Tensor, y: Tensor, dt: Tensor, step: Step) -> Tensor:
        if step.carry is not None or not self._solver.dense_with_f1:
            return self._solver.dense(self._f, t, y, dt, step, self._workspace)
        self._carry, carry = self._started(self._column(self._clock.t))
        c = self._solver.dense(self._f, t, y, dt, step._replace(carry=carry), self._workspace)
        return c if carry is self._carry else c.where(self._mask(carries.finite(self._carry)), math.nan)

    def _leave_stops(self) -> None:
        """Let samples go on from their stop, or end there."""
        clock, stop = self._clock, self._clock.stop
        here = clock.at_stop()
        if here is None:
            return
        self._fates.end(here & ~clock.alive, self._tries)
        jumps = self._limits.are_jumps(stop)
        if jumps is not None:
            self._limits.confine(here & clock.alive, stop)
            self._anew = here & clock.alive & jumps

    def _land(self, y: Tensor, landed: Landed) -> None:
        """Restart samples at outputs, from what their states have jumped to."""
        here = np.zeros_like(self._clock.alive)
        here[landed.sample] = True
        self._y, here = y, here & self._clock.alive
        if here.any():
            self._anew = here if self._anew is None else self._anew | here
            self._pace.begin(here, self._clock, self._tries)

    def _end_stuck(self, tried: Bools, finite: Bools) -> None:
        """End those of the samples whose next step would be none."""
        clock = self._clock
        stuck = tried & (clock.dt <= np.maximum(4 * sys.float_info.epsilon * np.abs(clock.t), self._least))
        if stuck.any():
            self._end(stuck & finite, Status.dt_underflow)
            self._end(stuck & ~finite, Status.non_finite)

    def _end(self, samples: Bools, status: Status) -> None:
        """End these samples with that status."""
        self._fates.put(samples, status)
        self._fates.end(samples, self._tries)
        self._clock.finish(samples)

    def _checked_finite(self, outputs: Tensor) -> Tensor:
        """Name the samples whose outputs left the finite numbers, and let these be NaN."""
        finite = torch.isfinite(outputs.detach()).all(dim=2).cpu().numpy()
        if finite.all():
            return outputs
        self._fates.put(np.logical_not(finite.all(axis=0)), Status.non_finite)
        return outputs.where(torch.from_numpy(finite).to(outputs.device).unsqueeze(2), math.nan)

    def _mask(self, samples: Bools) -> Tensor:
        return mask(samples, self._y)

    def _column(self, x: Floats) -> Tensor:
        """Times or step sizes on the clock as f and a step take them."""
        return column(self._clock.signed(x), self._y)
