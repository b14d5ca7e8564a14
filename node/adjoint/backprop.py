"""Backpropagation through the steps: discretise, then optimise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.field.recorded import RecordedField
from node.solution import Stats
from node.trajectory import Trajectory


@dataclass(frozen=True)
class Backprop(Adjoint):
    """The exact gradient of the computed solution, with the step sizes as constants.

    The graph of every evaluation is kept until the backward pass, so that memory grows with the number of steps.
    """

    name = "backprop"
    time = "N s VJPs"
    memory = "O(N s): every evaluation's graph"
    exactness = "exact for the computed solution"
    calls_once = True
    dense = True
    independent = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve with a graph where grad mode is on, without one where it is off."""
        record = torch.is_grad_enabled()
        f = RecordedField(problem.field(), stats) if record else problem.field()
        trajectory = problem.integrate(f, y0, record=record)
        stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        return trajectory, trajectory.at_outputs()


ADJOINTS.register(Backprop())
