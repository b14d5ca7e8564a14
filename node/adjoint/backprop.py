"""Backpropagation through the steps: discretise, then optimise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from node.adjoint.base import Adjoint, InitialValueProblem
from node.integrate import integrate
from node.solution import Solution, Stats
from node.vector_field import FlatField


@dataclass(frozen=True)
class Backprop(Adjoint):
    """The exact gradient of the computed solution; step sizes count as constants.

    Every evaluation's graph is kept until the backward pass: memory grows with the number of steps.
    """

    name = "backprop"
    cost = "exact for the computed solution; one VJP an evaluation; memory O(steps x stages)"

    def solve(self, problem: InitialValueProblem) -> Solution:
        """Solve with a graph where grad mode is on, without one where it is off."""
        stats = Stats()
        record = torch.is_grad_enabled()
        f = _Recorded(problem, stats) if record else FlatField(problem.f, problem.y0)
        loop = integrate(
            f,
            problem.y0.reshape(-1),
            problem.times,
            solver=problem.solver,
            controller=problem.controller,
            max_steps=problem.max_steps,
            record=record,
        )
        stats.nfe_forward = f.calls
        stats.n_accepted, stats.n_rejected = loop.n_accepted, loop.n_rejected
        y = loop.at_outputs(len(problem.times)).view(-1, *problem.y0.shape)
        return Solution(problem.t, y, loop.status, stats)


class _Recorded(FlatField):
    """A field that tells the statistics of each product that the backward pass takes through it."""

    def __init__(self, problem: InitialValueProblem, stats: Stats):
        super().__init__(problem.f, problem.y0)
        self._stats = stats

    def __call__(self, t: float, y: Tensor) -> Tensor:
        dy = super().__call__(t, y)
        if dy.requires_grad:
            dy.register_hook(self._count_vjp)
        return dy

    def _count_vjp(self, _: Tensor) -> None:
        self._stats.vjp_backward += 1
