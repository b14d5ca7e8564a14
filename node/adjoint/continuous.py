"""The continuous adjoint: optimise, then discretise."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from node.adjoint.base import Adjoint, InitialValueProblem
from node.controller import Controller, Norm, PIDController
from node.integrate import Trajectory, integrate
from node.solution import SolveError, Stats, Status
from node.solvers.base import Solver
from node.vector_field import FlatField, Time


@dataclass(frozen=True)
class ContinuousAdjoint(Adjoint):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", algorithm 1.

    Solves a' = -a df/dy backwards in time beside y itself and the parameters' integral. Its step size is carried on
    from one output time to the next: only the adjoint's jump dL/dy(t_i) is added there, and y is set to what the
    forward pass has found. The gradient is that of the true solution, to the tolerance of both solves.
    """

    solver: Solver | None = None  # None: the forward pass's
    controller: Controller | None = None

    name = "adjoint"
    cost = "to the tolerance; re-solves y backwards, one call and one VJP an evaluation; memory O(1) in steps"
    needs_parameters = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass solves the adjoint equation."""
        parameters = tuple(p for p in problem.parameters if p.requires_grad)
        found: list[Trajectory] = []
        y = _AdjointSolve.apply(self, problem, stats, found.append, y0, *parameters)
        return found[0], y


class _AdjointSolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        mode: ContinuousAdjoint,
        problem: InitialValueProblem,
        stats: Stats,
        tell: Callable[[Trajectory], None],
        y0: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        f = problem.field()
        trajectory = problem.integrate(f, y0, record=False)
        stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        tell(trajectory)
        y = trajectory.at_outputs()
        ctx.mode, ctx.problem, ctx.stats = mode, problem, stats
        ctx.save_for_backward(y, *parameters)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dl_dy: Tensor) -> tuple[Tensor | None, ...]:
        y, *parameters = ctx.saved_tensors
        dl_dy0, dl_dp = _solve_adjoint(ctx.mode, ctx.problem, ctx.stats, y, dl_dy, parameters)
        return (None, None, None, None, dl_dy0, *dl_dp)


def _solve_adjoint(
    mode: ContinuousAdjoint,
    problem: InitialValueProblem,
    stats: Stats,
    y: Tensor,
    dl_dy: Tensor,
    parameters: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """dL/dy0 and dL/dp from dL/dy at the outputs, of shape (len(times), n) as y is."""
    solver = mode.solver or problem.solver
    n = len(y[0])
    controller = _with_block_norm(mode.controller or problem.controller, n)
    field = _AugmentedField(problem, n, parameters)
    z = torch.cat([y[-1], dl_dy[-1], *(p.new_zeros(p.numel()) for p in parameters)])
    dt = None
    for i in range(len(problem.times) - 1, 0, -1):
        interval = (problem.times[i], problem.times[i - 1])
        loop = integrate(
            field,
            z,
            interval,
            solver=solver,
            controller=controller,
            max_steps=problem.max_steps,
            record=False,
            dt=dt,
        )
        if loop.status is not Status.success:
            raise SolveError(
                f"adjoint: the backward solve stopped at t={loop.t:g}: {loop.status.name}: {loop.status.value}; "
                "or take gradient='backprop', which solves nothing backwards"
            )
        z, dt = loop.y.clone(), loop.dt
        z[:n] = y[i - 1]
        z[n : 2 * n] += dl_dy[i - 1]
    stats.nfe_backward += field.calls
    stats.vjp_backward += field.vjps
    dl_dp = z[2 * n :].split([p.numel() for p in parameters])
    return z[n : 2 * n], [g.view_as(p) for g, p in zip(dl_dp, parameters, strict=True)]


class _AugmentedField(FlatField):
    """d/dt (y, a, g) = (f, -a df/dy, -a df/dp): one call of f and one vector-Jacobian product."""

    def __init__(self, problem: InitialValueProblem, n: int, parameters: list[Tensor]):
        super().__init__(problem.f, problem.y0)
        self._n = n
        self._parameters = parameters
        self.vjps = 0

    def __call__(self, t: Time, z: Tensor) -> Tensor:
        n = self._n
        with torch.enable_grad():
            y = z[:n].detach().requires_grad_()
            dy = super().__call__(t, y)
            if not dy.requires_grad:  # f depends neither on y nor on a parameter
                return torch.cat([dy, z.new_zeros(len(z) - n)])
            self.vjps += 1
            products = torch.autograd.grad(dy, (y, *self._parameters), -z[n : 2 * n], allow_unused=True)
        flat = [
            z.new_zeros(p.numel()) if product is None else product.reshape(-1).to(z.dtype)
            for p, product in zip((y, *self._parameters), products, strict=True)
        ]
        return torch.cat([dy.detach(), *flat])


def _with_block_norm(controller: Controller, n: int) -> Controller:
    """The controller with the largest of the norms of y, a and g, so that many parameters do not hide the state."""
    if isinstance(controller, PIDController):
        return replace(controller, norm=_BlockNorm(controller.norm, n))
    return controller


@dataclass(frozen=True)
class _BlockNorm:
    norm: Norm
    n: int

    def __call__(self, z: Tensor) -> float:
        n = self.n
        blocks = [z[:n], z[n : 2 * n]] + ([z[2 * n :]] if len(z) > 2 * n else [])
        # Python's max passes over a NaN that is not first: here one block that is NaN makes all of it NaN.
        return max((float(self.norm(block)) for block in blocks), key=lambda size: (math.isnan(size), size))
