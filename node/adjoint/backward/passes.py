"""A forward solve without a graph, and a solve backwards in time for its gradients: optimise, then discretise."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from node.adjoint.backward.finite import is_finite
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.once import differentiable_once
from node.adjoint.backward.one_loss import check_one_loss
from node.adjoint.backward.twice import can_be_differentiated, differentiable_gradients
from node.adjoint.base import InitialValueProblem
from node.adjoint.field.conditions import Conditions
from node.graph_function import GraphFunction
from node.solution import SolveError, Stats, Status
from node.trajectory import Trajectory
from node.vector_field import RightHandSide


class Gradients(NamedTuple):
    """The gradients from a backward solve, and how it ended."""

    of_y0: Tensor  # (n,)
    of_parameters: Sequence[Tensor]
    status: Status
    t: float  # the time at which the backward solve ended
    nfe: int
    vjps: int


class Passes(Protocol):
    """The forward and the backward pass of one solve."""

    name: str  # the mode's name
    mode: Any  # a continuous adjoint, or a mode that solves in the same way

    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        """The trajectory from flat y0, and with `keep` the tensors that the backward pass needs.

        The states at the outputs are kept in any case.
        """

    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        """dL/dy0 and dL/dp from dL/dy at the outputs; there are at least two outputs."""


def solve_in_passes(
    passes: Passes, problem: InitialValueProblem, y0: Tensor, stats: Stats
) -> tuple[Trajectory, Tensor]:
    """The trajectory of the forward pass and its states, whose gradients come from the backward pass."""
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in (y0, *problem.parameters))):
        problem = problem.without_gradient(passes.name)
        with torch.no_grad():
            trajectory, _ = _forward(passes, problem, y0, stats, keep=False)
            return trajectory, trajectory.at_outputs()
    forward: list[Trajectory] = []
    y = _BackwardSolve.apply(forward, passes, problem, stats, y0, *problem.parameters)
    return forward[0], y


def _forward(
    passes: Passes, problem: InitialValueProblem, y0: Tensor, stats: Stats, *, keep: bool
) -> tuple[Trajectory, Sequence[Tensor]]:
    """The trajectory of the forward pass, and the tensors to be kept."""
    f = problem.first_field()
    trajectory, kept = passes.forward(problem, f, y0.detach(), keep=keep)
    stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
    return trajectory, kept


class _Solve:
    """The data of one forward pass that its backward passes use."""

    def __init__(self, passes: Passes, problem: InitialValueProblem, stats: Stats) -> None:
        self.name = passes.name
        self.conditions: Conditions
        self._problem, self.conditions = problem.for_backward(passes.name)
        self._passes = passes
        self._stats = stats
        self._failed_forwards = False

    def end_forward(self, trajectory: Trajectory) -> None:
        """Record how the forward pass ended."""
        self.conditions.end_forward()
        self._failed_forwards = trajectory.status.failed

    def gradients(
        self, y: Tensor, dl_dy: Tensor, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """dL/dy0 and dL/dp from dL/dy (m, n); outputs after a failure of the forward pass are left out."""
        times, m = self._problem.times, self._reached(y)
        outputs = Outputs(times[:m], y[:m], dl_dy[:m])
        if m == 1:
            found = Gradients(dl_dy[0], [torch.zeros_like(p) for p in parameters], Status.success, times[0], 0, 0)
        else:
            found = self.conditions.call(lambda: self._solved(outputs, kept))
        self._stats.nfe_backward += found.nfe
        self._stats.vjp_backward += found.vjps
        gradients = (found.of_y0, *found.of_parameters)
        status = found.status
        if status is Status.success and not all(map(is_finite, gradients)):
            status = Status.non_finite
        self._stats.status_backward = status
        if status is Status.success:
            return gradients
        return self._failed(found._replace(status=status), outputs, gradients)

    def is_known_twice(self, parameters: Sequence[Tensor]) -> bool:
        """Whether the gradients can have a graph, so that they can be differentiated again."""
        known = can_be_differentiated(self._problem, parameters, self.conditions.parameters)
        return bool(self._passes.mode.twice) and known

    def differentiable(self, y: Tensor, dl_dy: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        """The gradients in a graph that the outputs y are part of."""
        m = self._reached(y)
        outputs = Outputs(self._problem.times[:m], y[:m], dl_dy[:m])

        def work() -> Sequence[Tensor]:
            self._stats.nfe_backward += self.conditions.check()
            return differentiable_gradients(self._passes.mode, self._problem, outputs, parameters, self._stats)

        found = self.conditions.call(work)
        self._stats.status_backward = Status.success
        return found

    def _solved(self, outputs: Outputs, kept: Sequence[Tensor]) -> Gradients:
        self._stats.nfe_backward += self.conditions.check()
        return self._passes.backward(self._problem, outputs, self.conditions.parameters, kept)

    def _reached(self, y: Tensor) -> int:
        """The number of outputs that the forward pass reached, the start among them."""
        if self._problem.samples or not self._failed_forwards:
            return len(y)  # with per-sample steps the backward pass finds the number for each sample
        return max(1, int(y.isfinite().all(dim=1).long().cumprod(0).sum()))

    def _failed(self, found: Gradients, outputs: Outputs, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
        name, status = self.name, found.status
        if status is Status.non_finite and not is_finite(outputs.dl_dy):
            warnings.warn(
                f"{name}: the loss has a gradient to the states that is not finite, and so all gradients are NaN: "
                "look for the infinity or the NaN in the loss",
                RuntimeWarning,
                stacklevel=2,
            )
            return [torch.full_like(g, math.nan) for g in gradients]
        raise SolveError(
            f"{name}: the backward solve stopped at t={found.t:g}: {status.name}: {status.value}; "
            "or take gradient='backprop', which solves nothing backwards",
            status,
        )


class _BackwardSolve(GraphFunction):
    @staticmethod
    def forward(
        ctx: Any,
        forward: list[Trajectory],
        passes: Passes,
        problem: InitialValueProblem,
        stats: Stats,
        y0: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.solve = _Solve(passes, problem, stats)
        trajectory, kept = _forward(passes, problem, y0, stats, keep=True)
        ctx.solve.end_forward(trajectory)
        forward.append(trajectory)
        y = trajectory.at_outputs()
        ctx.n_parameters = len(parameters)
        ctx.save_for_backward(y0, *parameters, y, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, dl_dy: Tensor) -> tuple[Tensor | None, ...]:
        solve: _Solve = ctx.solve
        check_one_loss(solve.name, (dl_dy,))
        y0, *tensors = ctx.saved_tensors
        parameters, (y, *kept) = tensors[: ctx.n_parameters], tensors[ctx.n_parameters :]
        if torch.is_grad_enabled() and solve.is_known_twice(parameters):
            return None, None, None, None, *solve.differentiable(y, dl_dy, parameters)
        with torch.no_grad():
            gradients = solve.gradients(y, dl_dy, parameters, kept)
        return None, None, None, None, *differentiable_once(solve.name, gradients, (y0, *parameters, dl_dy))
