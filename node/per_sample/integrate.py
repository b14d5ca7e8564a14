"""The solve in which each sample of a batch has its own steps."""

from collections.abc import Callable

from torch import Tensor

from node.controller import Controller, PIDController
from node.event import Event
from node.per_sample.clock import Landed
from node.per_sample.log import SampleLog
from node.per_sample.loop import SampleLoop
from node.per_sample.path import SamplePiece
from node.per_sample.step_control import AdaptivePace, FixedPace, Pace
from node.solvers.base import Solver
from node.trajectory import Callbacks, Trajectory
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
    dense: bool = False,
    callbacks: Callbacks | None = None,
    log: SampleLog | None = None,
    visit: Callable[[SamplePiece], object] | None = None,
    jump: Callable[[Landed, Tensor], Tensor] | None = None,
) -> Trajectory:
    """As `integrate`, with a time, a step size, acceptance, outputs and an end for each sample.

    y0: (B, n). times: (B, T) in float64 on the CPU, rows monotonic, all in one direction, and strictly so but for the
    last time, which may be there more than once. The outputs are one piece (T, B, n). f is called with all samples;
    with one that has ended, where it was last. event: each sample stops at its own, without a graph. dense: keep the
    dense output of each try in which samples go on; visit: called with it. log: told of each such try.
    jump: gives what the states (B, n) jump to where samples are at outputs, each of which then ends a step.
    """
    pace: Pace
    if isinstance(controller, PIDController):
        pace = AdaptivePace(controller, solver, len(y0))
    else:
        pace = FixedPace(controller)
    loop = SampleLoop(f, y0, times, solver, pace, max_steps, record, log, jump)
    pieces: list[SamplePiece] = []
    loop.visit = pieces.append if dense else visit
    loop.callbacks = None if callbacks == Callbacks() else callbacks
    if event is not None:
        loop.watch(event)
    if times.shape[1] > 1:
        loop.run()
    trajectory = loop.trajectory()
    trajectory.pieces = pieces
    return trajectory
