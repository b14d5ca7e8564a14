"""The solve in which each sample of a batch has its own steps."""

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
    """The solve of `integrate`, with a time, a step size, acceptance, outputs and an end for each sample.

    y0: (B, n). times: (B, T) in float64 on the CPU, rows monotonic, all in one direction, and strictly so but for the
    last time, which may be there more than once. The outputs are one piece (T, B, n). f is called with all samples;
    with one that has ended, where it was last. event: each sample stops at its own, without a graph. observers: told
    of each try that some sample accepts.
    jump: gives what the states (B, n) jump to where samples are at outputs, each of which then ends a step.
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
