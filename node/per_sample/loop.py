"""The integration loop in which each sample of a batch takes its own steps."""

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from node.controller import LEAST_STEP
from node.event import Event
from node.observer import Observer
from node.per_sample.clock import Bools, Floats, Landed, Passed, SampleClock
from node.per_sample.columns import column
from node.per_sample.current_states import Attempt, CurrentStates
from node.per_sample.events import EventWatch
from node.per_sample.limits import Limits
from node.per_sample.log import StepLog
from node.per_sample.outcomes import Outcomes
from node.per_sample.outputs import SampleOutputs, interpolated, states
from node.per_sample.path import SamplePiece
from node.per_sample.step_control import StepControl, Verdicts
from node.solution import Status
from node.solvers.base import Solver, Step
from node.trajectory import Callback, Trajectory
from node.vector_field import RightHandSide


class SampleLoop:
    """The state of one solve in progress: the samples' states, and the outputs so far."""

    def __init__(
        self,
        f: RightHandSide,
        y0: Tensor,
        times: Tensor,
        solver: Solver,
        control: StepControl,
        max_steps: int,
        event: Event | None,
        observers: Sequence[Observer[SamplePiece]],
        jump: Callable[[Landed, Tensor], Tensor] | None,
        *,
        record: bool,
    ) -> None:
        samples, n_outputs = times.shape
        self._f = f
        self._current = CurrentStates(f, y0, solver, record=record, estimate=control.estimate)
        self._dense_with_f1 = solver.dense_with_f1
        self._control = control
        self._record = record
        self._clock = SampleClock(times, control.stops, land=jump is not None)
        self._jump = jump
        self._limits = Limits(f, self._clock, control.jumps, y0)
        self._try_observers = [observer for observer in observers if observer.asks_tries]
        self._dense_observers = [observer for observer in observers if observer.asks_dense]
        logs = [observer for observer in observers if observer.asks_taken]
        self._log = StepLog(logs, solver, self._clock, self._limits) if logs else None
        self._outputs = SampleOutputs(y0, n_outputs)
        self._max_steps = max_steps
        self._tries = 0
        self._min_dt = np.zeros(samples)  # the step sizes at which a sample ends with a failure
        self._outcomes = Outcomes(samples)
        self._events = None if event is None else EventWatch(event, f, self._column(self._clock.t), y0)

    def run(self) -> None:
        """Take steps until every sample has ended."""
        clock = self._clock
        self._limits.restrict(clock.alive, clock.start)
        if self._control.estimate:
            self._size_first_steps()
        while clock.alive.any():
            if self._tries >= self._max_steps:
                self._end(clock.alive, Status.max_steps)
                return
            self._tries += 1
            self._advance()

    def trajectory(self) -> Trajectory:
        """The trajectory of the solve so far."""
        clock = self._clock
        outputs = self._outputs.all()
        # The stages of an accepted step are finite; f(t1, y1) and dense output may not be.
        if len(outputs) > 1 and (self._dense_with_f1 or not self._control.estimate):
            outputs = self._outcomes.checked(outputs)
        stats = self._outcomes.stats()
        failed = np.array([status.failed for status in stats.status])
        return Trajectory(
            float(clock.sign * (clock.t[failed][0] if failed.any() else clock.t.max())),
            self._current.y,
            [outputs],
            len(outputs),
            status=self._outcomes.status,
            n_accepted=int(stats.n_accepted.sum()),
            n_rejected=int(stats.n_rejected.sum()),
            samples=stats,
            events=None if self._events is None else self._events.found,
        )

    def _size_first_steps(self) -> None:
        clock, y = self._clock, self._current.y
        t = self._column(clock.t)
        f0 = self._f(t, y)
        self._current.make_carry(t, f0)
        with torch.no_grad():
            clock.dt = np.where(clock.alive, self._control.first_dt(clock, self._f, y, f0), 0.0)
        self._min_dt = LEAST_STEP * clock.dt
        self._end_stuck(clock.alive, clock.alive)

    def _advance(self) -> None:
        """Try a step in every sample, and move the samples that accept theirs to its end."""
        clock, current = self._clock, self._current
        t0, t1 = clock.t, clock.meet(self._control.proposed(clock, self._tries))
        dt = t1 - t0
        t = current.nan.time(self._column(t0))
        self._prepare(t, t0, t1)
        for observer in self._try_observers:
            self._notify(observer.trying, t0, dt, clock.alive)
        carry = current.carry
        attempt = current.tried(t, self._column(dt))
        verdicts = self._control.judge(clock, attempt.y, attempt.step, dt)
        if not verdicts.all_accepted:
            self._outcomes.reject(clock.alive & ~verdicts.accepted)
            if self._record:
                attempt = current.recordable(attempt, verdicts, clock.alive)
        if self._events is not None:
            t1, attempt = self._to_events(self._events, t0, t1, attempt, verdicts.accepted & clock.alive)
            dt = t1 - t0
        for observer in self._try_observers:
            self._notify(observer.accepted, t0, dt, clock.alive & verdicts.accepted)
            self._notify(observer.rejected, t0, dt, clock.alive & ~verdicts.accepted)
        self._accept(attempt.step, verdicts, t1)
        passed = clock.passed()
        if passed is not None or self._dense_observers:
            self._output(passed, verdicts.accepted & clock.alive, t0, attempt)
        if self._log is not None:
            f1 = current.carry if attempt.step.carry is None else None
            self._log.report((t0, attempt.y, carry), (current.y, current.carry), verdicts, passed, f1)
        clock.dt = verdicts.dt
        if self._events is not None and self._events.stopping is not None:
            self._end(self._events.stopped(clock.signed(clock.t), current.y), Status.event)
        self._leave_stops()
        if self._jump is not None and passed is not None and (landed := passed.landed()) is not None:
            self._land(self._jump(landed, current.y), landed)
        if not verdicts.all_accepted:
            self._end_stuck(clock.alive & ~verdicts.accepted, verdicts.finite)

    def _prepare(self, t: Tensor, t0: Floats, t1: Floats) -> None:
        """Set the interval in which f is called, and the carry at the start of the step."""
        current = self._current
        if self._control.one_sided:
            self._limits.put(t0, t1)
            current.carry, current.restarted = None, np.ones_like(self._clock.alive)
        if self._log is not None and current.restarted is not None:
            self._log.record_restart(current.restarted)
        current.make_carry(t)

    def _notify(self, observer: Callback, t: Floats, dt: Floats, samples: Bools) -> None:
        """Notify an observer with t, the state and dt of these samples, if there are any."""
        if not samples.any():
            return
        dt = np.where(samples, self._clock.signed(dt), 0.0)
        observer(torch.tensor(self._clock.signed(t)), self._current.y, torch.from_numpy(dt))

    def _to_events(
        self, events: EventWatch, t0: Floats, t1: Floats, attempt: Attempt, moved: Bools
    ) -> tuple[Floats, Attempt]:
        """The step's end and the step, shortened in samples that reach their event in it."""
        clock, current, (t, y, _, step) = self._clock, self._current, attempt
        if not events.has_happened(self._column(t1), step.y1, moved):
            return t1, attempt
        c = current.dense_ahead(self._column(t1), attempt)
        piece = SamplePiece(clock.signed(t0), clock.signed(t1), moved, y, c)
        # The end of a trial step to the event is used to correct the dense output.
        t1 = clock.signed(events.locate(piece))
        y1 = current.step(t, y, self._column(t1 - t0)).y1
        t1 = clock.signed(events.locate(piece, end=(clock.signed(t1), y1)))
        h = self._column(t1 - t0)
        return t1, Attempt(t, y, h, current.step(t, y, h))

    def _accept(self, step: Step, verdicts: Verdicts, t1: Floats) -> None:
        """Move the samples whose step is accepted to its end."""
        clock, accepted, logged = self._clock, verdicts.accepted, self._log is not None
        if not (verdicts.all_accepted or (accepted & clock.alive).any()):
            return
        clock.t = t1 if verdicts.all_accepted else np.where(accepted, t1, clock.t)
        # Where steps are logged, a sample that has ended must keep its state to the last bit. Without error estimates a
        # rejected sample has ended.
        moved = accepted & clock.alive if logged else accepted
        self._current.accept(step, moved, whole=not (logged or self._control.estimate))

    def _output(self, passed: Passed | None, moved: Bools, t0: Floats, attempt: Attempt) -> None:
        """Store the states at the outputs that were passed, by dense output unless a step ends there."""
        clock, y0 = self._clock, attempt.y
        landed, within = (None, None) if passed is None else (passed.landed(), passed.within(t0, clock.t))
        if landed is not None:
            self._outputs.keep(*landed, states(self._current.y, landed.sample))
        asks_dense = bool(self._dense_observers) and bool(moved.any())
        if within is None and not asks_dense:
            return
        c = self._current.dense(self._column(clock.t), attempt)
        if within is not None:
            self._outputs.keep(within.output, within.sample, interpolated(y0, c, within))
        if asks_dense:
            piece = SamplePiece(clock.signed(t0), clock.signed(clock.t), moved, y0, c)
            for observer in self._dense_observers:
                observer.dense(piece)

    def _leave_stops(self) -> None:
        """Let samples at their stop continue to the next one, or end if the stop is their end time."""
        clock, stop = self._clock, self._clock.stop
        here = clock.at_stop()
        if here is None:
            return
        self._outcomes.end(here & ~clock.alive, self._tries)
        jumps = self._limits.are_jumps(stop)
        if jumps is not None:
            self._limits.restrict(here & clock.alive, stop)
            self._current.restarted = here & clock.alive & jumps

    def _land(self, y: Tensor, landed: Landed) -> None:
        """Restart the samples at outputs from their states after the jump."""
        here = np.zeros_like(self._clock.alive)
        here[landed.sample] = True
        self._current.y, here = y, here & self._clock.alive
        if here.any():
            self._current.restarted = here if self._current.restarted is None else self._current.restarted | here
            self._control.restart(here, self._clock, self._tries)

    def _end_stuck(self, tried: Bools, finite: Bools) -> None:
        """End those of the samples whose next step would be too small."""
        clock = self._clock
        stuck = tried & (clock.dt <= np.maximum(4 * sys.float_info.epsilon * np.abs(clock.t), self._min_dt))
        if stuck.any():
            self._end(stuck & finite, Status.dt_underflow)
            self._end(stuck & ~finite, Status.non_finite)

    def _end(self, samples: Bools, status: Status) -> None:
        """End these samples with this status."""
        self._outcomes.put(samples, status)
        self._outcomes.end(samples, self._tries)
        self._clock.finish(samples)

    def _column(self, x: Floats) -> Tensor:
        """The column of times or step sizes of the solve, from those on the clock."""
        return column(self._clock.signed(x), self._current.y)
