"""Backpropagation through the steps: discretise, then optimise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from node.adjoint.base import Adjoint, InitialValueProblem
from node.integrate import Trajectory
from node.solution import Stats
from node.vector_field import FlatField, Time


@dataclass(frozen=True)
class Backprop(Adjoint):
    """The exact gradient of the computed solution; step sizes count as constants.

    Every evaluation's graph is kept until the backward pass: memory grows with the number of steps.
    """

    name = "backprop"
    cost = "exact for the computed solution; one VJP an evaluation; memory O(steps x stages)"
    dense = True
    independent = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve with a graph where grad mode is on, without one where it is off."""
        record = torch.is_grad_enabled()
        f = _Recorded(problem, stats) if record else problem.field()
        trajectory = problem.integrate(f, y0, record=record)
        stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        return trajectory, trajectory.at_outputs()


class _Recorded(FlatField):
    """A field that tells the statistics of each product that the backward pass takes through it."""

    def __init__(self, problem: InitialValueProblem, stats: Stats):
        super().__init__(problem.f, problem.layout)
        self._stats = stats

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        dy = super().__call__(t, y)
        if dy.requires_grad:
            dy.register_hook(self._count_vjp)
        return dy

    def traced(self, t: Time, y: Tensor) -> Tensor:
        return super().__call__(t, y)

    def _count_vjp(self, _: Tensor) -> None:
        self._stats.vjp_backward += 1
