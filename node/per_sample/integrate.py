"""A solve in which each sample of a batch has its own steps."""

from collections.abc import Callable, Sequence

from torch import Tensor

from node.controller import Controller, PIDController
from node.event import Event
from node.observer import Observer
from node.per_sample.clock import Landed
from node.per_sample.loop import SampleLoop
from node.per_sample.path import SamplePiece
from node.per_sample.step_control import AdaptiveStepControl, FixedStepControl, StepControl
from node.solvers.base import Solver
from node.trajectory import Trajectory
from node.vector_field import RightHandSide


def integrate_samples(
    f: RightHandSide,
    y0: Tensor,
    times: Tensor,
    *,
    solver: Solver,
    controller: Controller,
    max_steps: int,
    record: bool,
    event: Event | None = None,
    observers: Sequence[Observer[SamplePiece]] = (),
    jump: Callable[[Landed, Tensor], Tensor] | None = None,
) -> Trajectory:
    """Solve as `integrate` does, with a time, a step size, acceptance, outputs and an end for each sample.

    y0: (B, n). times: (B, T) in float64 on the CPU, the rows monotonic in one direction, strictly except that the last
    time may be repeated. The outputs are one piece (T, B, n). f is always called with all samples; a sample that has
    ended is passed with its last time and state. event: each sample stops at its own event, without a graph. observers:
    notified of each try that some sample accepts.
    jump: the function that gives the states (B, n) after jumps at outputs; steps then end at every output.
    """
    control: StepControl
    if isinstance(controller, PIDController):
        control = AdaptiveStepControl(controller, solver, len(y0))
    else:
        control = FixedStepControl(controller)
    loop = SampleLoop(f, y0, times, solver, control, max_steps, event, observers, jump, record=record)
    if times.shape[1] > 1:
        loop.run()
    return loop.trajectory()
