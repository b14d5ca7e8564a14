"""The continuous adjoint: optimise, then discretise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from node.adjoint.augmented import AugmentedField
from node.adjoint.base import Adjoint, InitialValueProblem
from node.adjoint.norms import AdjointNorm, block_norm
from node.controller import Controller, PIDController, Tolerance
from node.integrate import Callbacks, Trajectory, integrate
from node.solution import SolveError, Stats, Status
from node.solvers.base import Solver
from node.tolerance import laid_out
from node.vector_field import FlatField

Forward = Callable[[FlatField, Tensor], Trajectory]  # the solve from y0, without a graph
Across = Callable[[Tensor, float, float], Tensor]  # the augmented vector at the second time, from that at the first


@dataclass(frozen=True)
class ContinuousAdjoint(Adjoint):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", algorithm 1.

    Solves a' = -a df/dy backwards in time beside y itself and the parameters' integral. Its step size is carried on
    from one output time to the next: only the adjoint's jump dL/dy(t_i) is added there, and y is set to what the
    forward pass has found. The gradient is that of the true solution, to the tolerance of both solves.

    solver, controller, max_steps: of the backward solve, the last between two outputs; None for the forward pass's.
    A tolerance for each entry of y holds for its adjoint too, and the least of all for the parameters.
    norm: of the error of y, of the adjoint and of the parameters' gradients; `seminorm` leaves the last out.
    callbacks: called in the steps of the backward solve, with a tuple (y, dL/dy, *dL/dp), the first two flat.
    """

    solver: Solver | None = None
    controller: Controller | None = None
    norm: AdjointNorm = block_norm
    callbacks: Callbacks | None = None
    max_steps: int | None = None

    name = "adjoint"
    cost = "to the tolerance; re-solves y backwards, one call and one VJP an evaluation; memory O(1) in steps"
    needs_parameters = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass solves the adjoint equation."""
        return solve_with_adjoint(problem, y0, stats, backward=lambda field: self.across(problem, field))

    def across(self, problem: InitialValueProblem, field: AugmentedField) -> Across:
        """A backward solve, interval by interval; each starts with the step size of which the one before ends."""
        controller = problem.controller if self.controller is None else laid_out(self.controller, problem.y0)
        controller = self._over_all(controller, field)
        dt: float | None = None

        def across(z: Tensor, start: float, stop: float) -> Tensor:
            nonlocal dt
            loop = integrate(
                field,
                z,
                (start, stop),
                solver=self.solver or problem.solver,
                controller=controller,
                max_steps=problem.max_steps if self.max_steps is None else self.max_steps,
                record=False,
                dt=dt,
                callbacks=self.callbacks,
            )
            if loop.status is not Status.success:
                raise SolveError(
                    f"adjoint: the backward solve stopped at t={loop.t:g}: {loop.status.name}: {loop.status.value}; "
                    "or take gradient='backprop', which solves nothing backwards"
                )
            dt = loop.dt
            return loop.y

        return across

    def _over_all(self, controller: Controller, field: AugmentedField) -> Controller:
        """The controller with tolerances and norm of the augmented vector."""
        if not isinstance(controller, PIDController):
            return controller
        of_state = controller.norm
        return replace(
            controller,
            rtol=_tolerance_of_all(controller.rtol, field),
            atol=_tolerance_of_all(controller.atol, field),
            norm=lambda z: self.norm(of_state, *field.split(z)),
        )


def _tolerance_of_all(tolerance: Tolerance, field: AugmentedField) -> Tolerance:
    return field.tolerance(tolerance) if isinstance(tolerance, Tensor) else tolerance


class _Work(NamedTuple):
    """What the two passes of one solve are to do."""

    problem: InitialValueProblem
    stats: Stats
    forward: Forward
    backward: Callable[[AugmentedField], Across]


def solve_with_adjoint(
    problem: InitialValueProblem,
    y0: Tensor,
    stats: Stats,
    *,
    backward: Callable[[AugmentedField], Across],
    forward: Forward | None = None,
) -> tuple[Trajectory, Tensor]:
    """The trajectory and its states, whose gradients come from the adjoint equation, solved by `backward`.

    forward: how to solve forwards; None for the problem's solver.
    """
    parameters = tuple(p for p in problem.parameters if p.requires_grad)
    forward = forward or (lambda f, y: problem.integrate(f, y, record=False))
    found: list[Trajectory] = []
    y = _AdjointSolve.apply(_Work(problem, stats, forward, backward), found.append, y0, *parameters)
    return found[0], y


class _AdjointSolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, work: _Work, tell: Callable[[Trajectory], None], y0: Tensor, *parameters: Tensor) -> Tensor:
        f = work.problem.field()
        trajectory = work.forward(f, y0)
        work.stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        tell(trajectory)
        y = trajectory.at_outputs()
        ctx.work = work
        ctx.save_for_backward(y, *parameters)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dl_dy: Tensor) -> tuple[Tensor | None, ...]:
        y, *parameters = ctx.saved_tensors
        return (None, None, *_gradients(ctx.work, y, dl_dy, parameters))


def _gradients(work: _Work, y: Tensor, dl_dy: Tensor, parameters: list[Tensor]) -> tuple[Tensor, ...]:
    """dL/dy0 and dL/dp from dL/dy at the outputs, of shape (len(times), n) as y is."""
    times = work.problem.times
    field = AugmentedField(work.problem.f, work.problem.y0, parameters)
    across = work.backward(field)
    z = field.join(y[-1], dl_dy[-1])
    for i in range(len(times) - 1, 0, -1):
        _, a, g = field.split(across(z, times[i], times[i - 1]))
        z = field.join(y[i - 1], a + dl_dy[i - 1], g)
    work.stats.nfe_backward += field.calls
    work.stats.vjp_backward += field.vjps
    _, *gradients = field.layout.restore(z)
    return tuple(gradients)
