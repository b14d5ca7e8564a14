"""Second derivatives of the continuous adjoints: the adjoint of the adjoint equation.

Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", eq. 4 and 5, which are an
initial value problem in (y, dL/dy, dL/dp) themselves.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from node.adjoint.backward.backward_solver import BackwardMode, BackwardSolver
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.real import like, real
from node.adjoint.base import InitialValueProblem
from node.controller import PIDController, rms_norm
from node.derivatives import dense_or_zero
from node.layout import Layout, layout_of
from node.solution import Stats, require_success
from node.trajectory import Callbacks
from node.vector_field import VectorField


class AdjointEquation(nn.Module):
    """d/dt (y, a, *g) = (f, -a df/dy, -a df/dp) as a vector field that can itself be differentiated.

    y, a: flat states (n,). g: tensors in the shapes of the parameters p. Complex ones are pairs of real numbers.
    """

    def __init__(self, f: VectorField[Any], y0: Tensor, layout: Layout, parameters: Sequence[Tensor]) -> None:
        super().__init__()
        self.f = f
        self._layout = layout
        self._like = y0.detach()
        self._wanted = tuple(parameters)

    def forward(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The slopes at (t, state)."""
        graph = torch.is_grad_enabled()
        y, a = like(state[0], self._like), like(state[1], self._like)
        with torch.enable_grad():
            y = y if y.requires_grad else y.detach().requires_grad_()
            dy = self._layout.flatten(self.f(t, self._layout.restore(y)))
            inputs = (y, *self._wanted)
            if not dy.requires_grad:
                return real(dy), *(torch.zeros_like(real(x)) for x in inputs)
            found = torch.autograd.grad(dy, inputs, -a, create_graph=graph, allow_unused=True)
        return real(dy if graph else dy.detach()), *map(real, map(dense_or_zero, found, inputs))


def can_be_differentiated(problem: InitialValueProblem, parameters: Sequence[Tensor], own: Sequence[Tensor]) -> bool:
    """Whether second derivatives are available.

    They need one step size for the batch, scalar tolerances with the default norm, and parameters that f reads itself,
    not through a leaf in its copy. own: the tensors that the copy of f reads in place of the parameters.
    """
    controller = problem.controller
    plain = not isinstance(controller, PIDController) or (
        isinstance(controller.rtol, float | int)
        and isinstance(controller.atol, float | int)
        and controller.norm is rms_norm
    )
    return plain and not problem.samples and all(p is q for p, q in zip(parameters, own, strict=True))


def differentiable_gradients(
    mode: BackwardMode, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], stats: Stats
) -> list[Tensor]:
    """dL/dy0, flat, and dL/dp in a graph to all that they depend on, by a solve for each interval between two outputs.

    outputs: in the graph of the solve. Each interval is a solve of the adjoint equation whose gradients come from the
    same mode, so that third derivatives are available too.
    """
    backward = BackwardSolver.of(problem, mode)
    f = AdjointEquation(problem.f, outputs.y[0], problem.layout, parameters)
    g = tuple(torch.zeros_like(real(p)) for p in parameters)
    a = outputs.dl_dy[-1]
    for i in range(len(outputs.times) - 1, 0, -1):
        z = (real(outputs.y[i]), real(a), *g)
        interval = InitialValueProblem(
            f=f,
            y0=z,
            layout=layout_of(z),
            times=(outputs.times[i], outputs.times[i - 1]),
            solver=backward.solver,
            controller=backward.controller,
            max_steps=backward.max_steps,
            callbacks=Callbacks(),
        ).with_dependencies(mode.name)
        _, of_y, *of_parameters = _end(mode, interval, stats)
        a, g = like(of_y, outputs.y[0]) + outputs.dl_dy[i - 1], tuple(of_parameters)
    return [a, *(like(x, p) for x, p in zip(g, parameters, strict=True))]


def _end(mode: BackwardMode, problem: InitialValueProblem, stats: Stats) -> tuple[Tensor, ...]:
    """The state at the last output, in a graph to all that it depends on; a failed solve is a SolveError."""
    own = Stats()
    trajectory, y = mode.solve(problem, problem.layout.flatten(problem.y0), own)
    require_success(trajectory.status)
    stats.nfe_backward += own.nfe_forward
    stats.vjp_backward += own.nfe_forward
    end = problem.layout.restore(y[-1])
    return end if isinstance(end, tuple) else (end,)
